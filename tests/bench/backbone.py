"""ocpp-server and api as processes of their own, on a RabbitMQ and a PostgreSQL of this run."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg

from tests.bench.contenders import ROOT
from tests.bench.site import bench_site
from tests.broker import Broker, find_server, free_port
from tests.postgres import Postgres, find_programs

READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 30.0
SERVICES = ("api", "ocpp-server")
"""The others would take part in nothing that is measured here."""


class NotInstalled(RuntimeError):
    """This machine lacks a program."""


class Service:
    """One ``parkade run SERVICE``."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "parkade", "run", name]
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def last_words(self) -> str:
        """The last line that it printed."""
        return (self.output.strip().splitlines() or ["it said nothing"])[-1]

    def start(self) -> None:
        """Start it; returns at once."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PARKADE_")}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env={**inherited, **self._environment, "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=output,
                cwd=self._log.parent,
            )

    def wait_until_ready(self) -> None:
        """Wait for its health page. Raises ``RuntimeError`` when it does not get ready."""
        url = f"http://127.0.0.1:{self._environment['PARKADE_HEALTH_PORT']}/readyz"
        deadline = time.monotonic() + READY_WITHIN_S
        while not _is_ready(url):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command} is not ready:\n{self.output[-3_000:]}")
            time.sleep(0.05)

    @property
    def has_ended(self) -> bool:
        """It runs no more."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL: nothing is said or flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self.has_ended:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


class Backbone:
    """Broker, database, and the two services."""

    def __init__(self, folder: Path, broker: Broker, postgres: Postgres, stations: int) -> None:
        self._broker = broker
        self._postgres = postgres
        self._database_url = postgres.new_database()
        self.ocpp_port = free_port()
        site = folder / "site.json"
        site.write_text(json.dumps(bench_site(stations)))
        common = {
            "PARKADE_BUS_URL": broker.url,
            "PARKADE_DATABASE_URL": self._database_url,
            "PARKADE_SITE_FILE": str(site),
            "PARKADE_HTTP_PORT": str(free_port()),
            "PARKADE_OCPP_HOST": "127.0.0.1",
            "PARKADE_OCPP_PORT": str(self.ocpp_port),
            "PARKADE_HEALTH_HOST": "127.0.0.1",
            "PARKADE_ADMIN_TOKEN": "a-token-for-the-benchmark",
            "PARKADE_LOG_LEVEL": "WARNING",
        }
        self.services = {
            name: Service(
                name,
                {
                    **common,
                    "PARKADE_DATA_DIR": str(folder / name),
                    "PARKADE_HEALTH_PORT": str(free_port()),
                },
                folder / f"{name}.log",
            )
            for name in SERVICES
        }

    @property
    def ocpp_server(self) -> Service:
        """The one under load."""
        return self.services["ocpp-server"]

    @property
    def pids(self) -> dict[str, int]:
        """Every process of it, by name; children belong to them."""
        broker, database = self._broker._node, self._postgres._server
        assert broker is not None
        assert database is not None
        services = {name: service.pid for name, service in self.services.items()}
        return {**services, "RabbitMQ": broker.pid, "PostgreSQL": database.pid}

    def start(self) -> None:
        """Start the services and wait until they are ready."""
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.wait_until_ready()

    def stop(self) -> None:
        """Stop the services."""
        for service in self.services.values():
            service.stop()

    def check(self) -> None:
        """Raise ``RuntimeError`` when a service has ended by itself: then nothing counts."""
        for name, service in self.services.items():
            if service.has_ended:
                raise RuntimeError(f"{name} has ended by itself: {service.last_words}")

    def stored_energies(self) -> list[int]:
        """Return the energy of every row of ``meter_values``."""
        rows = asyncio.run(self._fetch("SELECT energy_wh FROM api.meter_values"))
        return [int(row["energy_wh"]) for row in rows]

    def stored_count(self) -> int:
        """Return how many rows ``meter_values`` has."""
        rows = asyncio.run(self._fetch("SELECT count(*) AS rows FROM api.meter_values"))
        return int(rows[0]["rows"])

    async def _fetch(self, statement: str) -> list[Any]:
        url = self._database_url.replace("+asyncpg", "")
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()


@contextlib.contextmanager
def backbone(stations: int) -> Iterator[Backbone]:
    """Run all of it for a block. Raises ``NotInstalled`` naming what this machine lacks."""
    server, programs = find_server(), find_programs()
    if server is None or programs is None:
        missing = "rabbitmq-server" if server is None else "PostgreSQL"
        raise NotInstalled(f"{missing} is not installed here (tests/install-servers)")
    with (
        tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder,
        contextlib.ExitStack() as it,
    ):
        broker = Broker(server, Path(folder) / "rabbitmq")
        it.callback(broker.stop)
        postgres = Postgres(programs)
        it.callback(postgres.stop)
        broker.start()
        postgres.start()
        running = Backbone(Path(folder), broker, postgres, stations)
        it.callback(running.stop)
        try:
            running.start()
            yield running
            running.check()
        except BaseException:
            for service in running.services.values():
                print(service.output[-3_000:], file=sys.stderr)
            raise


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
