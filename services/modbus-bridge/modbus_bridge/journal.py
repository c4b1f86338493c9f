"""Sessions that outlive the bridge: which are open, and which facts are not safe yet.

One small file, replaced as a whole. Without a place to write it, sessions are kept in memory only,
and that is logged once.
"""

import asyncio
import logging
from pathlib import Path

from pydantic import BaseModel, ValidationError

from modbus_bridge.domain.session import Ended, OpenSession, Started
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import Evse
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

RETRY_S = 5.0
UNSENT_LIMIT = 10_000
"""Facts that may wait for the bus; some months of a large garage."""


class OpenRecord(BaseModel):
    """An open session and where it takes place."""

    session: OpenSession
    station_id: str
    connector: int
    fixed_token: str | None = None
    """S24: whose session it is where no card is read."""

    @property
    def token(self) -> str | None:
        """Whose session it is."""
        return self.session.token or self.fixed_token


class JournalState(BaseModel):
    """The content of the file."""

    open: dict[str, OpenRecord] = {}
    unsent: list[SessionStarted | SessionEnded] = []


class SessionJournal:
    """Keeps sessions and publishes their facts in order, each until it is safe."""

    def __init__(self, path: Path, bus: Bus, clock: Clock) -> None:
        self._path = path
        self._bus = bus
        self._clock = clock
        self._state = JournalState()
        self._is_writable = True
        self._has_news = asyncio.Event()

    def load(self) -> None:
        """Take over what an earlier run left."""
        try:
            self._state = JournalState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValidationError):
            logger.exception("sessions of an earlier run cannot be read from %s", self._path)
            return
        self._has_news.set()

    def open_session(self, evse_id: str) -> OpenSession | None:
        """Return the session that is open at an EVSE."""
        record = self._state.open.get(evse_id)
        return None if record is None else record.session

    def started(self, evse: Evse, change: Started) -> None:
        """Note that a vehicle came."""
        session = change.session
        record = OpenRecord(
            session=session,
            station_id=evse.station,
            connector=evse.connector,
            fixed_token=evse.fixed_token,
        )
        self._state.open[evse.id] = record
        self._add(
            SessionStarted(
                session_id=session.session_id,
                evse_id=evse.id,
                station_id=evse.station,
                connector=evse.connector,
                started_at=session.started_at,
                token=record.token,
                energy_start_wh=session.energy_start_wh,
            )
        )

    def updated(self, evse_id: str, session: OpenSession) -> None:
        """Note what became known of a session since it started: its card."""
        record = self._state.open.get(evse_id)
        if record is not None:
            self._state.open[evse_id] = record.model_copy(update={"session": session})
            self._has_news.set()

    def ended(self, evse_id: str, change: Ended, *, reason: str) -> None:
        """Note that a vehicle left."""
        record = self._state.open.pop(evse_id, None)
        if record is None:
            return
        self._add(
            SessionEnded(
                session_id=change.session.session_id,
                evse_id=evse_id,
                station_id=record.station_id,
                connector=record.connector,
                ended_at=change.ended_at,
                energy_stop_wh=change.energy_stop_wh,
                reason=reason,
                token=change.session.token or record.fixed_token,
            )
        )

    def end_all_but(self, evse_ids: set[str]) -> None:
        """Note that EVSEs are not ours any more: nobody will see their vehicles leave."""
        for evse_id in set(self._state.open) - evse_ids:
            session = self._state.open[evse_id].session
            change = Ended(session=session, ended_at=self._clock.now(), energy_stop_wh=None)
            self.ended(evse_id, change, reason="evse removed")

    async def run(self) -> None:
        """Publish what waits, in order, for ever."""
        try:
            while True:
                await self._has_news.wait()
                self._has_news.clear()
                self._save()
                while self._state.unsent and await self._publish_first():
                    self._save()
        finally:
            self._save()

    async def _publish_first(self) -> bool:
        try:
            await self._bus.publish(self._state.unsent[0])
        except ParkadeError as error:
            logger.warning("a session fact is not safe yet: %s", error)
            await asyncio.sleep(RETRY_S)
            self._has_news.set()
            return False
        self._state.unsent.pop(0)
        return True

    def _add(self, fact: SessionStarted | SessionEnded) -> None:
        if len(self._state.unsent) >= UNSENT_LIMIT:
            logger.error("session fact lost, %s wait already: %s", UNSENT_LIMIT, fact)
            return
        self._state.unsent.append(fact)
        self._has_news.set()

    def _save(self) -> None:
        """Write some kilobytes, seldom: not worth a thread that could still write after us."""
        text = self._state.model_dump_json()
        try:
            _replace_file(self._path, text)
        except OSError as error:
            if self._is_writable:
                logger.warning("sessions will not survive a restart of the bridge: %s", error)
            self._is_writable = False
        else:
            self._is_writable = True


def _replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
