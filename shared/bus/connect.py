"""Chooses the bus by its URL."""

from urllib.parse import urlsplit

from shared.bus.port import Bus
from shared.bus.rabbit import RabbitBus
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ConfigError

SCHEMES = ("amqp", "amqps")


async def connect(url: str, service: str, *, clock: Clock = SYSTEM_CLOCK) -> Bus:
    """Return a participant of the bus at ``amqp://`` or ``amqps://``.

    Waits for the broker as long as it takes to appear. Raises ``ConfigError`` for any other URL;
    the bus in one process is made by whoever starts the services in one process.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigError(
            f"the bus URL starts with {scheme or 'nothing'!r}; a service that runs alone needs "
            "amqp://user:password@host/ or amqps://…, and memory:// is for parkade up"
        )
    return await RabbitBus.connect(url, service, clock)
