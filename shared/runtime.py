"""Runs a service as a process of its own: settings, logging, bus, signals, exit codes.

Exit codes: 0 stopped as asked, 2 the configuration cannot work (the message says what to change),
1 anything else.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import uvloop

from shared.bus.connect import connect
from shared.bus.port import Bus
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ConfigError
from shared.health import Health, health_app
from shared.http import listening_socket, serve_http
from shared.logs import set_up_logging
from shared.settings import ServiceSettings, load_settings

logger = logging.getLogger(__name__)

GC_THRESHOLDS = (50_000, 20, 50)
"""Python's own make the collector look through every connection many times a second: with 9,000 of
them it paused for 0.7 s (facts/performance.md, 6)."""
KEPT_BYTES = 4 << 20
"""So much freed memory glibc is to keep (twice) instead of asking for it again page by page, which
makes a decision for 1,000 EVSEs a tenth longer. It begins with 128 kB, and raises that to the
largest block it has seen freed (mallopt(3), M_MMAP_THRESHOLD)."""

SWITCH_S = 0.0005
"""So long a working thread (the decision log, a ledger) holds up the event loop at each of its
turns. With Python's own 5 ms some reactions of load management took 40 ms longer."""

CLOSED_WITHIN_S = 1.0

CANCEL_AGAIN_S = 15.0
"""A cancellation gets lost when an answer comes at the same moment (``asyncio.wait_for`` of Python
3.11, in pymodbus and aiormq). So everything that still runs after half of what docker-compose.yml
grants a service to end in is cancelled again."""

EXIT_STOPPED = 0
EXIT_BROKEN = 1
EXIT_CONFIG = 2

S_contra = TypeVar("S_contra", bound=ServiceSettings, contravariant=True)


class Service(Protocol[S_contra]):
    """``async def run(settings, bus, *, clock, health)`` of every service: runs until cancelled."""

    def __call__(
        self, settings: S_contra, bus: Bus, *, clock: Clock, health: Health
    ) -> Awaitable[None]:
        """Build the parts and run them."""
        ...


def main(name: str, run: Service[Any], settings_class: type[ServiceSettings]) -> None:
    """Run one service until it is told to stop, then exit."""
    sys.exit(run_process(lambda: _one_service(name, run, settings_class)))


async def _one_service(name: str, run: Service[Any], kind: type[ServiceSettings]) -> None:
    settings = load_settings(kind)
    set_up_logging(level=settings.log_level, style=settings.log_format)
    if settings.bus_url.startswith("memory:"):
        raise ConfigError(
            f"PARKADE_BUS_URL is {settings.bus_url!r}: a service of its own needs RabbitMQ, "
            "for example amqp://parkade@localhost/ (or run all in one process: parkade up)"
        )
    health = Health()
    bus = await connect(settings.full_bus_url, name, clock=SYSTEM_CLOCK)
    try:
        async with asyncio.TaskGroup() as group:
            if settings.health_port is not None:
                group.create_task(_serve_health(settings, health))
            group.create_task(_watch_bus(bus, health))
            group.create_task(_run(run(settings, bus, clock=SYSTEM_CLOCK, health=health)))
    finally:
        await bus.close()


async def _run(service: Awaitable[None]) -> None:
    await service


async def _serve_health(settings: ServiceSettings, health: Health) -> None:
    listener = listening_socket(
        settings.health_host, settings.health_port or 0, setting="PARKADE_HEALTH_PORT"
    )
    await serve_http(health_app(health), listener)


async def _watch_bus(bus: Bus, health: Health) -> None:
    while True:
        health.report("bus", ok=bus.is_connected, detail="" if bus.is_connected else "no broker")
        await asyncio.sleep(1)


def run_process(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run ``work`` until it ends or a signal asks to stop; return the exit code.

    The only place that installs signal handlers. SIGINT and SIGTERM cancel ``work``, so that
    everything is closed in order.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(work))
    except BaseExceptionGroup as group:
        return _exit_code_of(group)
    except ConfigError as error:
        return _refuse(error)
    return EXIT_STOPPED


def tune_process() -> None:
    """Make Python and its allocator fit for a loop with much to hold and threads beside it."""
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    bytearray(KEPT_BYTES)


async def _until_signalled(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work())

    def stop() -> None:
        task.cancel()
        loop.call_later(CANCEL_AGAIN_S, stop_all)

    def stop_all() -> None:
        for running in asyncio.all_tasks(loop):
            running.cancel()
        loop.call_later(CANCEL_AGAIN_S, stop_all)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    tune_process()
    loop.call_later(30, gc.freeze)  # what lives after warm-up is not looked through again
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        await _until_databases_are_closed()


async def _until_databases_are_closed() -> None:
    """Give threads of aiosqlite that are still closing a moment.

    One that finds the loop closed prints a traceback (0.22, ``_connection_worker_thread``), and
    nobody awaits the end of a connection whose opening was cancelled.
    """
    deadline = time.monotonic() + CLOSED_WITHIN_S
    while time.monotonic() < deadline:
        if not any("_connection_worker_thread" in one.name for one in threading.enumerate()):
            return
        await asyncio.sleep(0.01)


def _exit_code_of(group: BaseExceptionGroup[BaseException]) -> int:
    config_errors = group.subgroup(ConfigError)
    if config_errors is not None:
        for error in _leaves(config_errors):
            _refuse(error)
        return EXIT_CONFIG
    logger.error("stopped by an error", exc_info=group)
    return EXIT_BROKEN


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _refuse(error: BaseException) -> int:
    sys.stderr.write(f"parkade: {error}\n")
    return EXIT_CONFIG
