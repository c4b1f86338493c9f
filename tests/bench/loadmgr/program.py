"""Runs a program in a process of its own, and returns what it printed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench.contenders import ROOT


def told_by(module: str, *arguments: str, within_s: float) -> list[str]:
    """Run a program of this package; return its lines. Fails as ``output_of`` does."""
    command = [sys.executable, "-m", f"tests.bench.loadmgr.{module}", *arguments]
    return output_of(command, within_s=within_s).splitlines()


def output_of(
    command: list[str], *, within_s: float, environment: Mapping[str, str] | None = None
) -> str:
    """Return what it printed. Raises ``RuntimeError`` with its last word when it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
        env=os.environ | (environment or {}),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        said = " ".join(Path(word).name if word.startswith("/") else word for word in command)
        raise RuntimeError(f"{said}: {last}")
    return done.stdout
