"""What a station is configured to once it has booted, and what it says it is set to.

In monitor mode nothing is written, only read (S1). Nothing here is needed for charging, so a
station that refuses is served all the same.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ocpp_server.answers import StationReply
from ocpp_server.configuration_reader import Configuration, read_all, read_keys
from ocpp_server.domain.configuration import (
    MEASURANDS_KEY,
    ListGrowth,
    differing,
    find,
    number_in,
    satisfies,
    wishes,
)
from ocpp_server.domain.jitter import spread
from ocpp_server.domain.profile_forms import CONNECTORS_KEY
from ocpp_server.facilities import Facilities
from ocpp_server.habits import NamedModel
from ocpp_server.local_lists import LocalList
from shared.contracts.ocpp import CallResult
from shared.contracts.station import StationConfigurationRead

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]

_TAKEN = frozenset({"Accepted", "RebootRequired"})


class Setup:
    """The settings of one connection."""

    def __init__(
        self, station: "Station", facilities: Facilities, *, wake: Callable[[], None]
    ) -> None:
        self._station = station
        self._facilities = facilities
        self._wake = wake
        self._is_read = False
        self._configuration = Configuration()
        self._last_read: StationConfigurationRead | None = None
        self._done: dict[str, str] = {}
        """Key -> the wish that was dealt with, taken or not."""
        self._written: list[str] = []
        """Keys that are to be read again."""
        self._complained: set[str] = set()
        self._drift: list[str] = []
        self.local_list = LocalList(station, facilities, lambda: self._configuration.entries)

    def send_again(self) -> None:
        """The station has booted: forget what was read and sent."""
        self._done.clear()
        self._written.clear()
        self._is_read = False
        self.local_list.read_again()

    def read_again(self) -> None:
        """Have the configuration read again, and told."""
        self._is_read = False
        self._wake()

    def announce(self) -> None:
        """Tell again what was read."""
        if self._last_read is not None:
            self._facilities.announcer.tell(self._last_read)
        self.local_list.announce()

    @property
    def connectors(self) -> int | None:
        """How many connectors the station says it has; ``None`` = not known."""
        told = {entry.key: entry.value for entry in self._configuration.entries}
        return number_in(told, CONNECTORS_KEY)

    def next_step(self) -> Step | None:
        """Return the next thing to ask or to set, when it is this station's turn."""
        step = self._next() if self._station.known else None
        slots = self._facilities.setup_slots
        if step is None:
            slots.leave(self)
            return None
        return step if slots.enter(self, self._wake) else None

    def closed(self) -> None:
        """The connection is gone: others may be set up."""
        self._facilities.setup_slots.leave(self)

    @property
    def is_waiting(self) -> bool:
        """Others are being set up first."""
        return self._facilities.setup_slots.is_waiting(self)

    def _next(self) -> Step | None:
        if not self._is_read:
            return self._read
        if self._station.view.steers:
            for key, value in self._wishes().items():
                if self._is_to_be_written(key, value):
                    return lambda: self._write(key, value)
        if self._written:
            return self._read_written
        return self.local_list.next_step()

    @property
    def _model(self) -> NamedModel:
        return self._station.named_model

    def _wishes(self) -> dict[str, str]:
        view = self._station.view
        server = view.site.ocpp_server
        return wishes(
            self._model.model,
            view.station(self._station.id),
            server,
            heartbeat_s=spread(server.heartbeat_interval_s, self._station.id),
        )

    async def _read(self) -> None:
        self._is_read = True
        self._configuration = await read_all(
            self._station, self._model.model, wanted=tuple(self._wishes())
        )
        self._tell()

    async def _read_written(self) -> None:
        """What was written is read again: not every station does what it says (5.4, 27)."""
        keys, self._written = self._written, []
        if self._configuration.entries:
            self._configuration = await read_keys(
                self._station, self._model.model, self._configuration, keys=keys
            )
        self._tell()

    def _is_to_be_written(self, key: str, value: str) -> bool:
        if self._done.get(key) == value:
            return False
        entry = find(self._configuration.entries, key)
        if entry is not None and satisfies(key, entry.value, value):
            self._done[key] = value
            return False
        unknown = {name.casefold() for name in self._configuration.unknown}
        if key.casefold() in unknown:
            return self._give_up(key, value, "it does not know this key")
        if entry is not None and entry.readonly:
            return self._give_up(key, value, "it can only be read")
        return True

    def _give_up(self, key: str, value: str, why: str) -> bool:
        self._done[key] = value
        self._complain(key, why)
        return False

    async def _write(self, key: str, value: str) -> None:
        self._done[key] = value
        if key.casefold() == MEASURANDS_KEY.casefold():
            reply = await self._write_list(key, value)
        else:
            reply = await self._change(key, value)
        if reply.status not in _TAKEN:
            self._complain(key, reply.summary)
            return
        if reply.status == "RebootRequired":
            logger.info("%s heeds %s after its next restart", self._station.id, key)
        self._written.append(key)

    async def _write_list(self, key: str, value: str) -> StationReply:
        """The whole list, or measurand by measurand what is not refused (5.4, 27)."""
        reply = await self._change(key, value)
        growth = ListGrowth(value)
        taken = reply.status in _TAKEN
        best = reply
        while not taken and _may_take_less(reply) and (attempt := growth.attempt) is not None:
            reply = await self._change(key, attempt)
            growth.answered(is_taken=reply.status in _TAKEN)
            if reply.status in _TAKEN:
                best = reply
        return best

    async def _change(self, key: str, value: str) -> StationReply:
        return await self._station.call("ChangeConfiguration", {"key": key, "value": value})

    def _complain(self, key: str, why: str) -> None:
        if key not in self._complained:
            self._complained.add(key)
            logger.info("%s does not take %s: %s", self._station.id, key, why)

    def _tell(self) -> None:
        found = self._configuration
        named = self._model
        self._last_read = StationConfigurationRead(
            station_id=self._station.id,
            epoch=self._station.epoch,
            read_at=self._facilities.clock.now(),
            entries=found.entries,
            unknown=found.unknown,
            complete=found.complete,
            wanted=self._shown_wishes(),
            model=named.name,
        )
        self._facilities.announcer.tell(self._last_read)
        drift = sorted(differing(self._last_read.wanted, found.entries)) if found.entries else []
        if drift != self._drift:
            self._drift = drift
            what = ", ".join(drift)
            logger.info("%s is set otherwise than wanted: %s", self._station.id, what or "no more")

    def _shown_wishes(self) -> dict[str, str]:
        """What is fulfilled is shown as the station writes it, so that it is no drift."""
        shown = {}
        for key, value in self._wishes().items():
            entry = find(self._configuration.entries, key)
            is_met = entry is not None and satisfies(key, entry.value, value)
            shown[key] = (entry.value or "") if entry is not None and is_met else value
        return shown


def _may_take_less(reply: StationReply) -> bool:
    """The value was refused, and not the key."""
    return reply.outcome is CallResult.ANSWERED and reply.status != "NotSupported"
