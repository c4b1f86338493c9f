"""A PostgreSQL of the tests' own: the real server, in a directory of its own, ended with them."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import free_port

READY_WITHIN_S = 60.0
SPEED_UP = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Nothing here has to survive a power cut."""


def find_programs() -> Path | None:
    """Return where the newest PostgreSQL programs are: on the path, or where Debian has them."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def need_programs() -> Path:
    """Return the folder; without one, fail where everything must run and skip elsewhere."""
    programs = find_programs()
    if programs is None and os.environ.get("CI"):
        pytest.fail("PostgreSQL is not installed, and CI must not skip its tests")
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    return programs


class Postgres:
    """One server on a loopback port, with any number of empty databases."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._directory = Path(tempfile.mkdtemp(prefix="parkade-postgres-"))
        self._account = _unprivileged_account()
        self._server: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        """Make a cluster, start it, and return when it takes connections."""
        if self._account is not None:
            os.chown(self._directory, self._account.pw_uid, self._account.pw_gid)
        data = self._directory / "data"
        initdb = ["-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"]
        assert self._run("initdb", *initdb).wait(60) == 0, self.output
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", *SPEED_UP)
        options = [word for setting in settings for word in ("-c", setting)]
        self._server = self._run("postgres", "-D", str(data), "-k", str(self._directory), *options)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start:\n{self.output[-4000:]}")
            time.sleep(0.05)

    def new_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"test_{secrets.token_hex(6)}"
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        assert self._run("createdb", *where, name).wait(60) == 0, self.output
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End the server without ceremony. Its many files are removed while nobody waits."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(10)
        remover = 'rm -rf "$1" >/dev/null 2>&1 &'
        subprocess.run(["sh", "-c", remover, "sh", str(self._directory)], check=True)

    @property
    def output(self) -> str:
        """What the programs printed."""
        return (self._directory / "output").read_text(errors="replace")

    def _answers(self) -> bool:
        command = [
            str(self._programs / "pg_isready"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """PostgreSQL refuses to run as root, so root starts it as somebody else."""
        command = [str(self._programs / program), *arguments]
        if self._account is not None:
            uid, gid = self._account.pw_uid, self._account.pw_gid
            command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *command]
        with (self._directory / "output").open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/"
            )


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Return whom to run as; ``None`` = ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL cannot run as root, and there is no other account")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server for all tests that import this fixture."""
    server = Postgres(need_programs())
    try:
        server.start()
        yield server
    finally:
        server.stop()
