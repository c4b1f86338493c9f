"""The parent's side of the load generator."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.bench.contenders import LOAD_CORE, ROOT, pin
from tests.bench.process import Meter, Used


class Generator:
    """A running load generator."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid
        self.connected_s = 0.0
        """How long the first stations took to be connected and booted."""

    def send(self, command: str) -> None:
        """Give a command; see ``tests.bench.load``."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Wait for the next line. Raises ``RuntimeError`` when the generator has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.send(command)
        return self.hear()

    def measure(self, command: str, pids: dict[str, int]) -> tuple[dict[str, Any], Used]:
        """Give a command that measures; return its result and what processes used meanwhile."""
        self.send(command)
        self.hear()
        meter = Meter({**pids, "load": self.pid})
        self.hear()
        used = meter.used()
        return self.hear(), used

    def settle(self, *, quiet_s: float = 2.0, within_s: float = 240.0) -> None:
        """Wait until the server has asked the stations nothing for a while."""
        deadline = time.monotonic() + within_s
        heard = -1
        while (now := self.ask("state")["calls_heard"]) != heard:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server is still busy with its stations after {within_s} s")
            heard = now
            time.sleep(quiet_s)

    def wait_until_back(self, stations: int, *, since: float, within_s: float = 240.0) -> float:
        """Wait until all are admitted after a moment; return how many seconds after it that was."""
        deadline = time.monotonic() + within_s
        while True:
            state = self.ask("state")
            if state["admitted"] == stations and state["first_admitted_at"] > since:
                return float(state["last_admitted_at"] - since)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{state['admitted']} of {stations} are back after {within_s} s")
            time.sleep(0.2)


@contextlib.contextmanager
def load_generator(
    port: int, stations: int, *, tls: bool = False, pinned: bool = True
) -> Iterator[Generator]:
    """Run the generator until the block ends, ``pinned`` to the other core; all are booted then."""
    command = [sys.executable, "-m", "tests.bench.load", str(port), "/", str(stations)]
    with subprocess.Popen(
        [*command, "tls"] if tls else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            if pinned:
                pin(process.pid, LOAD_CORE)
            generator = Generator(process)
            generator.connected_s = generator.hear()["seconds"]
            yield generator
            generator.send("quit")
        finally:
            process.kill()
