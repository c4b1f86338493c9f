"""A Docker engine of the test's own: started, used and ended without touching any other."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

STARTED_WITHIN_S = 60.0
STOPPED_WITHIN_S = 60.0
PROGRAMS = ("dockerd", "docker", "debootstrap", "setpriv", "ip")


class CommandFailed(AssertionError):
    """A program ended with an error; the message carries what it printed."""


def run(
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
) -> str:
    """Return what a program printed on its standard output. Raises ``CommandFailed``."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=env, cwd=cwd, timeout=timeout_s, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        tail = f"{done.stdout}{done.stderr}"[-6000:]
        raise CommandFailed(f"{' '.join(words)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def compose_command() -> tuple[str, ...]:
    """Return how this machine calls compose: the plugin, or docker-compose 1.29."""
    plugin = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False, timeout=30
    )
    return ("docker", "compose") if plugin.returncode == 0 else ("docker-compose",)


def missing_programs() -> list[str]:
    """Return what ``tests/compose/install`` would have to install."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if compose_command() == ("docker-compose",) and shutil.which("docker-compose") is None:
        missing.append("docker-compose")
    return missing


class Engine:
    """``dockerd`` with data, socket and containerd in one temporary directory. Needs root."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="parkade-engine-"))
        # Not docker0, which another engine of this machine may use.
        self._bridge = f"parkade-{os.getpid() % 1_000_000}"
        self._process: subprocess.Popen[bytes] | None = None
        self.log = self._directory / "dockerd.log"

    @property
    def environment(self) -> dict[str, str]:
        """Environment that makes docker and compose talk to this engine only."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("PARKADE_")},
            "DOCKER_HOST": f"unix://{self._directory}/sock",
            "DOCKER_CONFIG": str(self._directory / "config"),
            # The classic builder is there with every engine; buildx may be missing.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }

    def docker(self, *arguments: str | Path, timeout_s: float = 120.0) -> str:
        """Run ``docker``; return what it printed."""
        return run("docker", *arguments, env=self.environment, timeout_s=timeout_s)

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        run("ip", "link", "add", "name", self._bridge, "type", "bridge")
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                # The engine ends with the test process, even when that is killed.
                ["setpriv", "--pdeathsig", "TERM", "dockerd", *self._options()],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"dockerd did not start:\n{self.log.read_text()[-6000:]}")
            time.sleep(0.2)

    def _options(self) -> list[str]:
        return [
            f"--data-root={self._directory}/data",
            f"--exec-root={self._directory}/exec",
            f"--pidfile={self._directory}/pid",
            f"--host=unix://{self._directory}/sock",
            f"--bridge={self._bridge}",
        ]

    def _answers(self) -> bool:
        try:
            self.docker("version", timeout_s=10)
        except (CommandFailed, subprocess.TimeoutExpired):
            return False
        return True

    def stop(self) -> None:
        """Stop the engine and what runs in it, and remove everything it stored."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        run("ip", "link", "delete", self._bridge)
        self._unmount()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _unmount(self) -> None:
        """Let go of what the engine leaves mounted in its directory, such as namespaces."""
        mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for path in reversed(mounted):
            if Path(path).is_relative_to(self._directory):
                run("umount", "--lazy", path)
