"""Around the decision: facts come in, time passes, setpoints and reports go out. Decides nothing.

Only the active instance hears facts and ticks, because both come through one queue with a single
active consumer. Whoever starts to hear them begins with an empty memory: it asks everybody for
facts, waits for them, and reserves the worst case for whatever stays unknown.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from loadmgr.courier import Courier
from loadmgr.domain.alarms import Alarm, alarms_of, changes
from loadmgr.domain.plan import Decision, decide
from loadmgr.domain.rhythm import ALMOST_A_TICK_S, TICK_S, Haste, Rhythm
from loadmgr.domain.site_model import compile_site
from loadmgr.domain.state import State
from loadmgr.recorder import NoRecorder, Recorder
from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.charging import LoadmgrTicked, SetpointApplied
from shared.contracts.message import Event
from shared.contracts.site import Mode, SiteConfig
from shared.contracts.station import FactsRequested
from shared.errors import ConfigError
from shared.health import Health

logger = logging.getLogger(__name__)

CLOCK_SET_S = 5.0
"""A clock that runs so far off within a second was set: by hand, or by the first answer of NTP."""
TELL_WITHIN_S = 1.0
"""What was decided is told by then, even if setpoints still wait for a slow bus."""


class Controller:
    """One instance of load management, active or waiting.

    Silence: without ticks nothing is decided and nothing is sent, and the leases run out.
    """

    def __init__(
        self, bus: Bus, *, clock: Clock, health: Health, recorder: Recorder | None = None
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._health = health
        self._recorder: Recorder = recorder or NoRecorder()
        self._model = compile_site(SiteConfig(mode=Mode.OFF))
        self._state = State()
        self._rhythm = Rhythm()
        self._offset_s = self._clock_offset_s()
        self._alarms: dict[str, Alarm | None] = {}
        self._told_s = float("-inf")
        self._untold: Decision | None = None
        self._has_untold = asyncio.Event()
        self._wake = asyncio.Event()
        self.courier = Courier(bus, clock, self._lose_station)

    def load(self, site: SiteConfig) -> None:
        """Put a site into force. One that cannot be used is refused; the last one stays."""
        try:
            model = compile_site(site)
        except ConfigError as error:
            logger.error("site revision %s is not used: %s", site.revision, error)  # noqa: TRY400
            self._health.report("site", ok=False, detail=str(error))
            return
        now = self._clock.now()
        self._recorder.site(site, now)
        self._state.fit(model, now.timestamp(), before=self._model)
        self._model = model
        self._health.report("site", ok=True, detail=f"revision {site.revision}")
        self._hurry(Haste.NOW)

    async def take(self, batch: Sequence[Delivery[Any]]) -> None:
        """Take in facts, in their order, and make ready what the next decision needs of them."""
        for delivery in batch:
            if isinstance(delivery.message, LoadmgrTicked):
                await self._tick()
            else:
                self._hurry(self._hear(delivery.message))
        self._state.prepare(self._clock.now().timestamp())

    async def run(self) -> None:
        """Decide, and tell what was decided, until cancelled."""
        self._health.report("decisions", ok=True, detail="waiting for its turn")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._decide_in_time())
            group.create_task(self._tell_in_time())

    async def _decide_in_time(self) -> None:
        while True:
            pause_s = self._pause_s()
            if pause_s == 0:
                self._decide()
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            self._wake.clear()

    def _pause_s(self) -> float | None:
        """Return how long to wait; until the next tick when facts are of another time."""
        if self._was_clock_set():
            return None
        return self._rhythm.pause_s(self._clock.monotonic())

    async def tick(self) -> None:
        """Tell once a second that time passes; whichever instance is active hears it."""
        while True:
            await self._bus.publish(LoadmgrTicked(instance=self._bus.instance))
            await asyncio.sleep(TICK_S)

    def _hear(self, fact: Event) -> Haste:
        now = self._clock.now()
        self._recorder.fact(fact, now)
        if isinstance(fact, SetpointApplied):
            self.courier.answered(fact.evse_id)
        return self._state.hear(self._model, fact, now.timestamp())

    async def _tick(self) -> None:
        was_clock_set, self._offset_s = self._was_clock_set(), self._clock_offset_s()
        if was_clock_set:
            logger.warning("the clock of this machine was set: beginning anew")
        if self._rhythm.tick(self._clock.monotonic(), was_clock_set=was_clock_set):
            logger.info("active: collecting facts before the first decision")
            now = self._clock.now()
            self._recorder.forgot(now)
            self._state = State(revision=self._state.revision)
            self._state.fit(self._model, now.timestamp())
            self._alarms = {}
            await self._bus.publish(FactsRequested(asker=self._bus.instance))
        self._wake.set()

    def _was_clock_set(self) -> bool:
        """Tell whether somebody set the clock since the last tick."""
        return abs(self._clock_offset_s() - self._offset_s) > CLOCK_SET_S

    def _clock_offset_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _hurry(self, haste: Haste) -> None:
        self._rhythm.hurry(haste)
        if haste:
            self._wake.set()

    def _lose_station(self, station_id: str) -> None:
        now = self._clock.now()
        self._recorder.lost(station_id, now)
        if self._state.lose_station(self._model, station_id, now.timestamp()):
            logger.info("station %s is offline: nobody holds it", station_id)
            self._hurry(Haste.SOON)

    def _decide(self) -> None:
        now = self._clock.now()
        decision = decide(self._model, self._state, now)
        now_s = self._clock.monotonic()
        self._rhythm.decided(now_s)
        self.courier.put(decision.setpoints)
        is_off = self._model.site.mode is Mode.OFF
        is_told = not is_off and now_s - self._told_s >= ALMOST_A_TICK_S
        self._recorder.decided(decision, self._state, now, is_told=is_told)
        if is_told:
            self._told_s, self._untold = now_s, decision
            self._has_untold.set()

    async def _tell_in_time(self) -> None:
        """Tell what was decided when the setpoints are on their way: they go first."""
        while True:
            await self._has_untold.wait()
            self._has_untold.clear()
            await self.courier.emptied(TELL_WITHIN_S)
            decision, self._untold = self._untold, None
            if decision is not None:
                await self._tell(decision)

    async def _tell(self, decision: Decision) -> None:
        # Of a large garage that takes longer than a decision, and the next one may be urgent.
        await self._bus.publish(await asyncio.to_thread(lambda: decision.decided))
        self._health.report("decisions", ok=True, detail="active")
        alarms = alarms_of(decision)
        for change in changes(self._alarms, alarms, self._clock.now()):
            if change.active:
                logger.warning("%s", change.text)
            await self._bus.publish(change)
        self._alarms = alarms
