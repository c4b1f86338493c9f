"""Carries setpoints to their stations, several at a time, so that a slow one holds up nobody."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from shared.bus.port import Bus
from shared.contracts.charging import ApplySetpoint
from shared.errors import ParkadeError, Unroutable

logger = logging.getLogger(__name__)

AT_ONCE = 128
"""Each waits for the broker's confirm, which takes some milliseconds."""
SEND_TIMEOUT_S = 5.0


class Courier:
    """One slot for each EVSE: a newer setpoint replaces one that has not left yet.

    To one EVSE they leave one after another. Silence: what cannot be sent within 5 s is given up;
    the decision sends again what is not accepted.
    """

    def __init__(self, bus: Bus, on_unroutable: Callable[[str], None]) -> None:
        self._bus = bus
        self._on_unroutable = on_unroutable
        self._slots: dict[str, ApplySetpoint] = {}
        self._busy: set[str] = set()
        self._ready: asyncio.Queue[str] = asyncio.Queue()  # holds an EVSE once: as many as those

    def put(self, setpoints: Iterable[ApplySetpoint]) -> None:
        """Send these soon, in this order."""
        for setpoint in setpoints:
            evse_id = setpoint.evse_id
            if evse_id not in self._slots and evse_id not in self._busy:
                self._ready.put_nowait(evse_id)
            self._slots[evse_id] = setpoint

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

    async def _carry(self) -> None:
        while True:
            evse_id = await self._ready.get()
            self._busy.add(evse_id)
            try:
                await self._send(self._slots.pop(evse_id))
            finally:
                self._busy.discard(evse_id)
            if evse_id in self._slots:
                self._ready.put_nowait(evse_id)
            self._ready.task_done()

    async def _send(self, setpoint: ApplySetpoint) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._bus.send(setpoint)
        except Unroutable:
            self._on_unroutable(setpoint.station_id)
        except (ParkadeError, TimeoutError) as error:
            logger.warning("setpoint of EVSE %s not sent: %r", setpoint.evse_id, error)
        except Exception:  # a bus that breaks for one station must not stop the others
            logger.exception("setpoint of EVSE %s not sent", setpoint.evse_id)
