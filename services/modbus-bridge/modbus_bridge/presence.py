"""Is a device there? Told once when it goes silent and once when it is back."""

import logging
from datetime import datetime

from modbus_bridge.domain.breaker import Breaker
from modbus_bridge.link import Unit
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.alarm import AlarmChanged, Severity

logger = logging.getLogger(__name__)

MISSES_TO_OFFLINE = 2
"""Facts C.3: a device whose data is older than two cycles counts as unknown."""


class Presence:
    """Counts missed cycles of one device. It is unknown until it answers or is found missing."""

    def __init__(self, name: str, alarm_id: str, *, unit: Unit, bus: Bus, clock: Clock) -> None:
        self._name = name
        self._alarm_id = alarm_id
        self._unit = unit
        self._bus = bus
        self._clock = clock
        self._misses = 0
        self._breaker = Breaker()
        self._missing_since: datetime | None = None
        self._reason = ""

    @property
    def is_missing(self) -> bool:
        """It has been silent for too long."""
        return self._missing_since is not None

    def may_be_asked(self) -> bool:
        """Asking takes no time from others, or enough time has passed since it was silent."""
        return not self._unit.line.is_shared or self._breaker.allows(self._clock.monotonic())

    async def answered(self) -> None:
        """Note an answer."""
        self._misses, self._breaker = 0, Breaker()
        if self._missing_since is not None:
            self._missing_since = None
            logger.info("%s answers again", self._name)
            await self.tell()

    async def missed(self, reason: str) -> bool:
        """Note a silent cycle; return whether the device counts as missing from now on."""
        self._misses += 1
        self._breaker = self._breaker.failed(self._clock.monotonic())
        if self._missing_since is not None or self._misses < MISSES_TO_OFFLINE:
            return False
        self._missing_since, self._reason = self._clock.now(), reason
        logger.warning("%s at %s is not reachable: %s", self._name, self._unit, reason)
        await self.tell()
        return True

    async def tell(self) -> None:
        """Publish the alarm as it is."""
        text = f"{self._name} at {self._unit} answers again"
        if self.is_missing:
            text = f"{self._name} at {self._unit} is not reachable ({self._reason})"
        await self._bus.publish(
            AlarmChanged(
                alarm_id=self._alarm_id,
                active=self.is_missing,
                severity=Severity.WARNING,
                text=text,
                changed_at=self._missing_since or self._clock.now(),
            )
        )

    async def withdraw(self) -> None:
        """Take the alarm back: the device is not configured any more."""
        if self._missing_since is not None:
            self._missing_since = None
            await self.tell()
