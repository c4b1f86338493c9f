"""A RabbitMQ of the tests' own: the real server in a directory of its own, killed without mercy."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

READY_WITHIN_S = 90.0
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
CONFIGURATION = """\
loopback_users = none
default_user = guest
default_pass = guest
log.file.level = warning
raft.wal_max_size_bytes = 16000000
"""


def find_server() -> Path | None:
    """Return RabbitMQ's start script, past Debian's wrapper that insists on its own user."""
    found = shutil.which("rabbitmq-server", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        return None
    real = Path(found).resolve()
    return real.parent / "rabbitmq-server" if real.name == "rabbitmq-script-wrapper" else real


def need_server() -> Path:
    """Return the start script; without one, fail where everything must run and skip elsewhere."""
    server = find_server()
    if server is None and os.environ.get("CI"):
        pytest.fail("rabbitmq-server is not installed, and CI must not skip its tests")
    if server is None:
        pytest.skip("rabbitmq-server is not installed")
    return server


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One node, with its own name, ports, data, log and cookie. Methods block; use a thread."""

    def __init__(self, server: Path, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self.port = free_port()
        self._epmd_port = free_port()
        self._name = f"parkade-{self.port}@localhost"
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._prepare()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def is_running(self) -> bool:
        """The node's process lives."""
        return self._node is not None and self._node.poll() is None

    def start(self) -> None:
        """Start the node, and return when it serves clients."""
        if self._epmd is None:
            # In the foreground, so that it ends with us; the node would start a lasting one.
            epmd = shutil.which("epmd") or "epmd"
            self._epmd = self._run([epmd, "-address", "127.0.0.1"])
        self._node = self._run([str(self._server)])
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"RabbitMQ did not start:\n{self.output[-4000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Take the power away: SIGKILL, nothing is flushed or said."""
        if self._node is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._node.pid, signal.SIGKILL)  # a session of its own: only its children
            self._node.wait(10)
            self._node = None

    def restart(self) -> None:
        """Kill the node and start it again with the same data."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End everything that was started here."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(10)
            self._epmd = None

    @property
    def output(self) -> str:
        """What the server printed."""
        return (self._directory / "output").read_text(errors="replace")

    def _prepare(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        cookie = self._directory / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (self._directory / "rabbitmq.conf").write_text(CONFIGURATION)
        (self._directory / "enabled_plugins").write_text("[].\n")
        (self._directory / "env.conf").touch()

    def _run(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self._directory / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                env=self._environment(),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        home = self._directory
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(home / "node.pid"),
            # The script then becomes the node instead of watching over it, so its pid is ours.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                client.settimeout(5)
                client.sendall(PROTOCOL_HEADER)
                return bool(client.recv(1))
        except OSError:
            return False
