"""Carries setpoints to their stations, several at a time, so that a slow one holds up nobody."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

from shared.bus.port import MOST_TOGETHER, Bus
from shared.clock import Clock
from shared.contracts.charging import ApplySetpoint
from shared.errors import ParkadeError, Unroutable

logger = logging.getLogger(__name__)

AT_ONCE = 128
"""Each waits for the broker's confirm, which takes some milliseconds."""
MANY = 16
"""So many setpoints of one decision travel together; fewer leave one by one."""
DOUBTFUL_AFTER_S = 5.0
"""Whoever has not answered for so long is asked alone."""
SEND_TIMEOUT_S = 5.0


class Courier:
    """One slot for each EVSE: a newer setpoint replaces one that has not left yet.

    To one EVSE they leave one after another. When many have to change, as when a fuse is full,
    their setpoints travel together, because a bus takes them far faster so. Then it does not tell
    that nobody holds one of the stations; the next setpoint to whoever has not answered tells.
    Silence: what cannot be sent within 5 s is given up; the decision sends again what is not
    accepted.
    """

    def __init__(self, bus: Bus, clock: Clock, on_unroutable: Callable[[str], None]) -> None:
        self._bus = bus
        self._clock = clock
        self._on_unroutable = on_unroutable
        self._slots: dict[str, ApplySetpoint] = {}
        self._busy: set[str] = set()
        self._unanswered: dict[str, float] = {}
        """Since when (monotonic) what travelled with others has not been answered, by EVSE."""
        self._turn = asyncio.Lock()
        """Of those that travel together the first leave while the next are made ready."""
        self._ready: asyncio.Queue[Sequence[str]] = asyncio.Queue()  # holds each EVSE once

    def put(self, setpoints: Iterable[ApplySetpoint]) -> None:
        """Send these soon, in this order."""
        fresh = []
        for setpoint in setpoints:
            evse_id = setpoint.evse_id
            if evse_id not in self._slots and evse_id not in self._busy:
                fresh.append(evse_id)
            self._slots[evse_id] = setpoint
        self._get_ready(fresh)

    def answered(self, evse_id: str) -> None:
        """An EVSE has told what became of a setpoint: somebody holds its station."""
        self._unanswered.pop(evse_id, None)

    async def emptied(self, within_s: float) -> None:
        """Wait until everything has left, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._ready.join()

    async def run(self) -> None:
        """Carry until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._carry())

    def _get_ready(self, evse_ids: Sequence[str]) -> None:
        alone, others = list[str](), list[str]()
        for evse_id in evse_ids:
            (alone if self._is_doubtful(evse_id) else others).append(evse_id)
        most = MOST_TOGETHER if len(others) >= MANY else 1
        for begin in range(0, len(others), most):
            self._ready.put_nowait(others[begin : begin + most])
        for evse_id in alone:
            self._ready.put_nowait([evse_id])

    def _is_doubtful(self, evse_id: str) -> bool:
        since_s = self._unanswered.get(evse_id)
        return since_s is not None and self._clock.monotonic() - since_s >= DOUBTFUL_AFTER_S

    async def _carry(self) -> None:
        while True:
            evse_ids = await self._ready.get()
            self._busy.update(evse_ids)
            try:
                await self._send([self._slots.pop(evse_id) for evse_id in evse_ids])
            finally:
                self._busy.difference_update(evse_ids)
            self._get_ready([evse_id for evse_id in evse_ids if evse_id in self._slots])
            self._ready.task_done()

    async def _send(self, setpoints: Sequence[ApplySetpoint]) -> None:
        evse_id, others = setpoints[0].evse_id, len(setpoints) - 1
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._hand_over(setpoints)
        except Unroutable:
            for setpoint in setpoints:
                self._on_unroutable(setpoint.station_id)
        except (ParkadeError, TimeoutError) as error:
            logger.warning("setpoint of EVSE %s and %d others not sent: %r", evse_id, others, error)
        except Exception:  # a bus that breaks for one station must not stop the others
            logger.exception("setpoint of EVSE %s and %d others not sent", evse_id, others)
        else:
            return
        for setpoint in setpoints:  # nobody owes an answer to what was not sent
            self._unanswered.pop(setpoint.evse_id, None)

    async def _hand_over(self, setpoints: Sequence[ApplySetpoint]) -> None:
        if len(setpoints) == 1:
            await self._bus.send(setpoints[0])
            return
        now_s = self._clock.monotonic()
        for setpoint in setpoints:
            self._unanswered.setdefault(setpoint.evse_id, now_s)
        async with self._turn:
            await asyncio.sleep(0)
        await self._bus.send_together(setpoints)
