"""Everything in one process: the services on one memory bus, each restarted when it breaks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from parkade.services import SERVICES, ServiceEntry
from shared.bus.memory import MemoryBus
from shared.clock import SYSTEM_CLOCK
from shared.errors import ConfigError
from shared.health import Health
from shared.settings import ServiceSettings

logger = logging.getLogger(__name__)

RESTART_PAUSE_S = (1.0, 2.0, 5.0, 15.0, 30.0)
CALM_S = 60.0
"""A service that ran this long before it broke is restarted after the first pause again."""


@dataclass(frozen=True)
class House:
    """The running services of this process."""

    hub: MemoryBus
    health: Mapping[str, Health] = field(default_factory=dict)

    @property
    def is_ready(self) -> bool:
        """Every service says that it is."""
        return all(health.is_ready for health in self.health.values())

    async def until_ready(self) -> None:
        """Wait until every service is ready."""
        while not self.is_ready:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def one_process(settings: Mapping[str, ServiceSettings]) -> AsyncIterator[House]:
    """Run the named services on a memory bus until the block ends.

    A service that breaks is logged and started again, because a fault in one must not stop the
    others from charging. ``ConfigError`` ends them all: no restart would mend it.
    """
    some = next(iter(settings.values()))
    hub = MemoryBus(
        clock=SYSTEM_CLOCK,
        services=frozenset(settings),
        dead_letter_file=some.data_dir / "dead-letters.jsonl",
    )
    house = House(hub, _joint_health(settings))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_keep_running(SERVICES[name], house, settings[name]), name=name)
            for name in settings
        ]
        try:
            yield house
        finally:
            for task in tasks:
                task.cancel()


def _joint_health(services: Iterable[str]) -> dict[str, Health]:
    """One health for each service; that of api, which has a page, tells of all."""
    health = {name: Health() for name in services}
    for name in health.keys() - {"api"}:
        if "api" in health:
            health["api"].include(name, health[name])
    return health


async def _keep_running(entry: ServiceEntry, house: House, settings: ServiceSettings) -> None:
    breakdowns = 0
    while True:
        started = SYSTEM_CLOCK.monotonic()
        bus = house.hub.join(entry.name)
        try:
            await entry.run(settings, bus, clock=SYSTEM_CLOCK, health=house.health[entry.name])
        except Exception as error:
            _raise_config_errors(error)
            logger.exception("%s broke", entry.name)
        finally:
            await bus.close()
        house.health[entry.name].report("service", ok=False, detail="restarting")
        breakdowns = 0 if SYSTEM_CLOCK.monotonic() - started > CALM_S else breakdowns + 1
        await asyncio.sleep(RESTART_PAUSE_S[min(breakdowns, len(RESTART_PAUSE_S) - 1)])
        house.health[entry.name].report("service", ok=True, detail="restarted")


def _raise_config_errors(error: Exception) -> None:
    if isinstance(error, ConfigError):
        raise error
    if isinstance(error, ExceptionGroup):
        config_errors = error.subgroup(ConfigError)
        if config_errors is not None:
            raise config_errors
