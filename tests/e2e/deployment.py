"""The product as it is deployed: what a test, a station and an operator can reach of it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from tests.broker import Broker, free_port
from tests.conditions import eventually

ADMIN_TOKEN = "a-token-for-tests-0123456789"
STOP_GRACE_S = 30
"""What docker-compose.yml grants a service to end in."""
SERVICES = ("api", "ocpp-server", "modbus-bridge", "loadmgr", "gateway")
STARTED_WITHIN_S = 60.0


class Deployment(Protocol):
    """A running Parkade."""

    @property
    def name(self) -> str:
        """How it is deployed."""
        ...

    @property
    def ocpp_port(self) -> int:
        """Where stations connect, on 127.0.0.1."""
        ...

    @property
    def simulators_host(self) -> str:
        """The address at which it reaches Modbus simulators of this machine."""
        ...

    @property
    def api(self) -> httpx.AsyncClient:
        """The REST API, as an operator with a token."""
        ...

    async def lose_manager(self) -> None:
        """Take away what setpoints come through: the broker, or the whole process."""
        ...

    async def bring_back(self) -> None:
        """Undo ``lose_manager``."""
        ...

    async def kill_ocpp_server(self) -> None:
        """``kill -9`` of the process that stations are connected to."""
        ...

    async def restart_ocpp_server(self) -> None:
        """Start that process again and wait until it is ready."""
        ...

    def database_url_of(self, service: str) -> str:
        """Where a service keeps its state, as SQLAlchemy wants it."""
        ...


@dataclass
class Process:
    """One ``parkade …`` of its own."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; its output goes to the log."""
        with self.log.open("ab") as output:
            self.running = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "parkade",
                *self.arguments,
                env={**_clean_environment(), **self.environment},
                stdout=output,
                stderr=output,
                cwd=self.log.parent,
            )

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask it to stop; returns the exit code."""
        return await self._end(signal.SIGINT)

    async def _end(self, how: signal.Signals) -> int:
        if self.running is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.running.send_signal(how)
        try:
            async with asyncio.timeout(STOP_GRACE_S):
                return await self.running.wait()
        except TimeoutError:
            self.running.kill()
            await self.running.wait()
            raise AssertionError(f"{self.arguments} did not stop in time") from None

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("PARKADE_")}


def operator(port: int, token: str = ADMIN_TOKEN) -> httpx.AsyncClient:
    """Return a client of the REST API."""
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )


async def answers(url: str) -> bool:
    """Tell whether a health page says that all is well."""
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class InOneProcess:
    """``parkade up``: memory bus and SQLite."""

    folder: Path
    http_port: int = field(default_factory=free_port)
    ocpp_port: int = field(default_factory=free_port)
    name: str = "one process"
    simulators_host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.api = operator(self.http_port)
        environment = {
            "PARKADE_DATA_DIR": str(self.folder / "data"),
            "PARKADE_HTTP_PORT": str(self.http_port),
            "PARKADE_OCPP_HOST": "127.0.0.1",
            "PARKADE_OCPP_PORT": str(self.ocpp_port),
            "PARKADE_ADMIN_TOKEN": ADMIN_TOKEN,
        }
        self.process = Process(("up",), environment, self.folder / "parkade.log")

    async def start(self) -> None:
        """Start and wait until every service is ready."""
        await self.process.start()
        await eventually(
            lambda: answers(f"http://127.0.0.1:{self.http_port}/readyz"),
            within_s=STARTED_WITHIN_S,
            every_s=0.2,
            claim="parkade up is ready",
        )

    async def lose_manager(self) -> None:
        """Kill the process: there is no broker to lose."""
        await self.process.kill()

    async def bring_back(self) -> None:
        """Start it again on the same data."""
        await self.start()

    async def kill_ocpp_server(self) -> None:
        """Kill the process, with everything else that is in it."""
        await self.process.kill()

    async def restart_ocpp_server(self) -> None:
        """Start it again on the same data."""
        await self.start()

    def database_url_of(self, service: str) -> str:
        """Each service has a file of its own."""
        return f"sqlite+aiosqlite:///{self.folder / 'data' / service}.sqlite3"

    async def stop(self) -> None:
        """Stop it."""
        await self.api.aclose()
        await self.process.stop()

    @property
    def output(self) -> str:
        """What was logged."""
        return self.process.output


@dataclass
class OneProcessEach:
    """``parkade run SERVICE`` five times, against RabbitMQ and PostgreSQL."""

    folder: Path
    broker: Broker
    database_url: str
    http_port: int = field(default_factory=free_port)
    ocpp_port: int = field(default_factory=free_port)
    name: str = "one process each"
    simulators_host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.api = operator(self.http_port)
        self.processes = {
            service: Process(
                ("run", service), self._environment(service), self.folder / f"{service}.log"
            )
            for service in SERVICES
        }

    def _environment(self, service: str) -> dict[str, str]:
        return {
            "PARKADE_BUS_URL": self.broker.url,
            "PARKADE_DATABASE_URL": self.database_url,
            "PARKADE_DATA_DIR": str(self.folder / service),
            "PARKADE_HTTP_PORT": str(self.http_port),
            "PARKADE_OCPP_HOST": "127.0.0.1",
            "PARKADE_OCPP_PORT": str(self.ocpp_port),
            "PARKADE_HEALTH_HOST": "127.0.0.1",
            "PARKADE_HEALTH_PORT": str(free_port()),
            "PARKADE_ADMIN_TOKEN": ADMIN_TOKEN,
        }

    async def start(self) -> None:
        """Start all and wait until each is ready."""
        for process in self.processes.values():
            await process.start()
        await self._until_ready()

    async def _until_ready(self) -> None:
        for service in self.processes:
            await self._until_ready_is(service)

    async def _until_ready_is(self, service: str) -> None:
        port = self.processes[service].environment["PARKADE_HEALTH_PORT"]
        await eventually(
            lambda: answers(f"http://127.0.0.1:{port}/readyz"),
            within_s=STARTED_WITHIN_S,
            every_s=0.2,
            claim=f"{service} is ready",
        )

    async def lose_manager(self) -> None:
        """Kill the broker."""
        await asyncio.to_thread(self.broker.kill)

    async def bring_back(self) -> None:
        """Start the broker again on the same data."""
        await asyncio.to_thread(self.broker.restart)
        await self._until_ready()

    async def kill_ocpp_server(self) -> None:
        """Kill that one process; the others go on."""
        await self.processes["ocpp-server"].kill()

    async def restart_ocpp_server(self) -> None:
        """Start it again."""
        await self.processes["ocpp-server"].start()
        await self._until_ready_is("ocpp-server")

    def database_url_of(self, service: str) -> str:
        """All are in one PostgreSQL, with a schema each."""
        return self.database_url

    async def stop(self) -> None:
        """Stop all."""
        await self.api.aclose()
        await asyncio.gather(*(process.stop() for process in self.processes.values()))

    @property
    def output(self) -> str:
        """What was logged."""
        return "\n".join(f"--- {s}\n{p.output}" for s, p in self.processes.items())


@contextlib.asynccontextmanager
async def running(deployment: Any) -> AsyncIterator[Any]:
    """Run a deployment for a block. Its log is printed: pytest shows it where a test failed."""
    try:
        await deployment.start()
        yield deployment
    finally:
        await deployment.stop()
        print(deployment.output[-30_000:])
