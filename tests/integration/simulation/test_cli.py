"""``parkade simulate …`` starts, says where it is, and stops cleanly."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shared.contracts.site import SiteConfig
from shared.runtime import EXIT_CONFIG, EXIT_STOPPED
from tests.broker import free_port

COMMAND = "from parkade.simulation.cli import simulate_app; simulate_app()"


@contextlib.contextmanager
def simulating(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command of ``simulate``; ends it if the test did not."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", pattern: str) -> re.Match[str]:
    """Read what the command says until it says this."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError("".join(said))


def test_a_backend_and_a_box_find_each_other_and_stop_cleanly() -> None:
    port = str(free_port())
    with simulating("backend", "--port", port) as backend:
        read_until(backend, f"backend on ws://127.0.0.1:{port}/<client id>")
        box = ("box", "--url", f"ws://127.0.0.1:{port}", "--id", "B", "--token", "FREE")
        with simulating(*box) as running:
            read_until(running, "B is connected and accepted")
            read_until(running, "B connector 1 is Charging")
            running.send_signal(signal.SIGINT)
            assert running.wait(20) == EXIT_STOPPED
        backend.send_signal(signal.SIGTERM)
        assert backend.wait(20) == EXIT_STOPPED


def test_a_garage_writes_the_matching_site_file(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    with simulating("garage", "--site-file", str(file)) as garage:
        read_until(garage, "the matching configuration is in")
        assert len(SiteConfig.model_validate(yaml.safe_load(file.read_text())).evses) == 5
        garage.send_signal(signal.SIGINT)
        assert garage.wait(20) == EXIT_STOPPED


@pytest.mark.parametrize("command", ["meter", "power-brain"])
def test_a_port_that_is_taken_is_said_and_exits_with_the_configuration_code(command: str) -> None:
    port = str(free_port())
    with simulating("meter", "--port", port) as first:
        read_until(first, "Modbus TCP port")
        with simulating(command, "--port", port) as second:
            read_until(second, f"Modbus port {port} cannot be opened")
            assert second.wait(20) == EXIT_CONFIG
