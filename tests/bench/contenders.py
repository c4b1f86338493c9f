"""The servers that are measured, and how each is started."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import npm_client
from tests.bench.site import bench_site
from tests.broker import free_port

ROOT = Path(__file__).parents[2]
NPM_CACHE = ROOT / ".pytest_cache" / "d" / "npm"
STARTED_WITHIN_S = 60.0
SERVER_CORE, LOAD_CORE = 0, 1


@dataclass(frozen=True)
class Launch:
    """What to run, and how to tell that it serves."""

    command: list[str]
    environment: dict[str, str]
    ready_url: str | None = None
    """A page that answers 200 when ready; otherwise the port answering is enough."""


@dataclass(frozen=True)
class Contender:
    """A server under load."""

    name: str
    note: str
    launch: Callable[[int, int, Path], Launch]
    """(port, stations, empty folder)"""


def _package(port: int, _stations: int, _folder: Path) -> Launch:
    return Launch([sys.executable, "-m", "tests.bench.servers.package_server", str(port)], {})


def _npm(port: int, _stations: int, _folder: Path) -> Launch:
    package = npm_client.installed(NPM_CACHE)
    script = ROOT / "tests" / "bench" / "servers" / "rpc_server.mjs"
    return Launch(["node", str(script), str(port), str(package)], {})


def _ocpp_server(port: int, stations: int, folder: Path) -> Launch:
    module = "tests.bench.servers.parkade_ocpp"
    return Launch([sys.executable, "-m", module, str(port), str(stations), str(folder)], {})


def _everything(port: int, stations: int, folder: Path) -> Launch:
    site = folder / "site.json"
    site.write_text(json.dumps(bench_site(stations)))
    http_port = free_port()
    environment = {
        "PARKADE_DATA_DIR": str(folder),
        "PARKADE_SITE_FILE": str(site),
        "PARKADE_HTTP_PORT": str(http_port),
        "PARKADE_OCPP_HOST": "127.0.0.1",
        "PARKADE_OCPP_PORT": str(port),
        "PARKADE_ADMIN_TOKEN": "a-token-for-the-benchmark",
        "PARKADE_LOG_LEVEL": "WARNING",
    }
    ready = f"http://127.0.0.1:{http_port}/readyz"
    return Launch([sys.executable, "-m", "parkade", "up"], environment, ready)


PACKAGE = Contender("ocpp (PyPI)", "the package's example server", _package)
NPM = Contender("ocpp-rpc (npm)", "bare server, strict mode", _npm)
OCPP_SERVER = Contender("Parkade ocpp-server", "alone, memory bus, SQLite ledger", _ocpp_server)
EVERYTHING = Contender("Parkade, everything", "five services in one process, SQLite", _everything)


def contenders() -> list[Contender]:
    """Return what can be measured here; npm's server needs node."""
    npm = [NPM] if npm_client.is_available() else []
    return [PACKAGE, *npm, OCPP_SERVER, EVERYTHING]


@contextlib.contextmanager
def running(
    contender: Contender, stations: int, *, talks: bool = False
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run a server for a block, pinned to one core; yields it and its port.

    One that ``talks`` has pipes as standard input and output.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="parkade-bench-") as folder:
        launch = contender.launch(port, stations, Path(folder))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PARKADE_")}
        log = Path(folder) / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                launch.command,
                env={**inherited, **launch.environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else output,
                stderr=output,
                cwd=folder,
            )
        try:
            pin(process.pid, SERVER_CORE)
            _wait_until_ready(process, launch, port)
            yield process, port
        except BaseException:
            print(log.read_text(errors="replace")[-4_000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where the machine can and has two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def _wait_until_ready(process: "subprocess.Popen[bytes]", launch: Launch, port: int) -> None:
    url = launch.ready_url or f"http://127.0.0.1:{port}/"
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{launch.command} ended with {process.returncode}")
        if _answers(url, any_status=launch.ready_url is None):
            return
        time.sleep(0.2)
    raise RuntimeError(f"{launch.command} was not ready within {STARTED_WITHIN_S} s")


def _answers(url: str, *, any_status: bool) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return any_status or answer.status == 200
    except urllib.error.HTTPError:
        return any_status
    except OSError:
        return False
