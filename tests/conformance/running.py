"""A running Parkade: the five services in one process, in a thread with an event loop of its own.

Ports are free ones. What stations and operators do goes through sockets, as it would anywhere.
"""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from parkade.compose import House, one_process
from parkade.services import SERVICES
from shared.settings import load_settings

ADMIN_TOKEN = "a-token-for-conformance-0123456789"
READY_WITHIN_S = 60.0
FQDN = "ocpp.garage.example"
"""Of the TLS endpoint: what stations are told to connect to, and what is in its certificate."""


@dataclass(frozen=True)
class Parkade:
    """Where it is reached, on 127.0.0.1."""

    http_port: int
    ocpp_port: int

    @property
    def rest_url(self) -> str:
        """The REST API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def plain_url(self) -> str:
        """Where stations connect without TLS."""
        return f"ws://127.0.0.1:{self.ocpp_port}"

    @property
    def tls_url(self) -> str:
        """Where stations connect with TLS."""
        return f"wss://{FQDN}:{self.ocpp_port}"


@contextlib.contextmanager
def running_parkade(folder: Path, site: dict[str, Any]) -> Iterator[Parkade]:
    """Run Parkade with a site until the block ends."""
    (folder / "site.yaml").write_text(json.dumps(site))  # JSON is YAML
    thread = _Thread(folder)
    thread.start()
    try:
        yield thread.until_ready()
    finally:
        thread.stop()


@dataclass
class _Thread:
    folder: Path
    _ready: threading.Event = field(default_factory=threading.Event)
    _stop: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _found: Parkade | None = None
    _error: BaseException | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="parkade")
        self._thread.start()

    def until_ready(self) -> Parkade:
        assert self._ready.wait(READY_WITHIN_S), "Parkade did not start"
        if self._found is None:
            raise AssertionError("Parkade did not start") from self._error
        return self._found

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(READY_WITHIN_S)
        assert not self._thread.is_alive(), "Parkade did not stop"
        if self._error is not None:
            raise AssertionError("Parkade broke while it ran") from self._error

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - the test that waits raises it
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        settings = {
            name: load_settings(entry.settings, **self._overrides)
            for name, entry in SERVICES.items()
        }
        async with one_process(settings) as house:
            async with asyncio.timeout(READY_WITHIN_S):
                await house.until_ready()
            self._found = Parkade(
                http_port=_port_told_by(house, "api", "http"),
                ocpp_port=_port_told_by(house, "ocpp-server", "ocpp-server"),
            )
            self._ready.set()
            await self._stop.wait()

    @property
    def _overrides(self) -> dict[str, object]:
        return {
            "bus_url": "memory://",
            "database_url": None,
            "data_dir": self.folder / "data",
            "site_file": self.folder / "site.yaml",
            "http_host": "127.0.0.1",
            "http_port": 0,
            "ocpp_host": "127.0.0.1",
            "ocpp_port": 0,
            "health_port": None,
            "admin_token": ADMIN_TOKEN,
        }


def _port_told_by(house: House, service: str, part: str) -> int:
    """Return the port that a service reports to listen on."""
    detail = house.health[service].reports[part].detail
    found = re.search(r"port (\d+)", detail)
    assert found is not None, f"{service} tells no port: {detail!r}"
    return int(found[1])
