"""Around the decision: facts come in, time passes, setpoints and reports go out. Decides nothing.

Only the active instance hears facts and ticks, because both come through one queue with a single
active consumer. Whoever starts to hear them begins with an empty memory: it asks everybody for
facts, waits for them, and reserves the worst case for whatever stays unknown.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from loadmgr.courier import Courier
from loadmgr.domain.alarms import Alarm, alarms_of, changes
from loadmgr.domain.plan import Decision, decide
from loadmgr.domain.rhythm import ALMOST_A_TICK_S, TICK_S, Rhythm
from loadmgr.domain.site_model import compile_site
from loadmgr.domain.state import State
from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.charging import LoadmgrTicked
from shared.contracts.site import Mode, SiteConfig
from shared.contracts.station import FactsRequested
from shared.errors import ConfigError
from shared.health import Health

logger = logging.getLogger(__name__)


class Controller:
    """One instance of load management, active or waiting.

    Silence: without ticks nothing is decided and nothing is sent, and the leases run out.
    """

    def __init__(self, bus: Bus, *, clock: Clock, health: Health) -> None:
        self._bus = bus
        self._clock = clock
        self._health = health
        self._model = compile_site(SiteConfig(mode=Mode.OFF))
        self._state = State()
        self._rhythm = Rhythm()
        self._alarms: dict[str, Alarm | None] = {}
        self._told_s = float("-inf")
        self._wake = asyncio.Event()
        self.courier = Courier(bus, self._lose_station)

    def load(self, site: SiteConfig) -> None:
        """Put a site into force. One that cannot be used is refused; the last one stays."""
        try:
            model = compile_site(site)
        except ConfigError as error:
            logger.error("site revision %s is not used: %s", site.revision, error)  # noqa: TRY400
            self._health.report("site", ok=False, detail=str(error))
            return
        self._state.fit(model, self._clock.now().timestamp(), before=self._model)
        self._model = model
        self._health.report("site", ok=True, detail=f"revision {site.revision}")
        self._hurry()

    async def take(self, batch: Sequence[Delivery[Any]]) -> None:
        """Take in facts, in their order."""
        for delivery in batch:
            if isinstance(delivery.message, LoadmgrTicked):
                await self._tick()
            elif self._state.hear(self._model, delivery.message, self._clock.now().timestamp()):
                self._hurry()

    async def run(self) -> None:
        """Decide until cancelled."""
        self._health.report("decisions", ok=True, detail="waiting for its turn")
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause_s = self._rhythm.pause_s(self._clock.monotonic())
            if pause_s is not None:
                await asyncio.sleep(pause_s)
                await self._decide()

    async def tick(self) -> None:
        """Tell once a second that time passes; whichever instance is active hears it."""
        while True:
            await self._bus.publish(LoadmgrTicked(instance=self._bus.instance))
            await asyncio.sleep(TICK_S)

    async def _tick(self) -> None:
        if self._rhythm.tick(self._clock.monotonic()):
            logger.info("active: collecting facts before the first decision")
            self._state = State()
            self._state.fit(self._model, self._clock.now().timestamp())
            self._alarms = {}
            await self._bus.publish(FactsRequested(asker=self._bus.instance))
        self._wake.set()

    def _hurry(self) -> None:
        self._rhythm.is_urgent = True
        self._wake.set()

    def _lose_station(self, station_id: str) -> None:
        if self._state.lose_station(self._model, station_id, self._clock.now().timestamp()):
            logger.info("station %s is offline: nobody holds it", station_id)
            self._hurry()

    async def _decide(self) -> None:
        now = self._clock.now()
        decision = decide(self._model, self._state, now)
        self._rhythm.decided(self._clock.monotonic())
        self.courier.put(decision.setpoints)
        if self._model.site.mode is not Mode.OFF:
            await self._tell(decision)

    async def _tell(self, decision: Decision) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._told_s >= ALMOST_A_TICK_S:
            self._told_s = now_s
            await self._bus.publish(decision.decided)
            self._health.report("decisions", ok=True, detail="active")
        alarms = alarms_of(self._model, decision)
        for change in changes(self._alarms, alarms, self._clock.now()):
            if change.active:
                logger.warning("%s", change.text)
            await self._bus.publish(change)
        self._alarms = alarms
