"""Measures some parts of a page anew, and writes the page after each."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import facts
from tests.bench.markdown import table
from tests.bench.page import INTRODUCTION, read, written

Part = Callable[[], str]
"""Measures, and returns its part of the page. Raises when it cannot."""


def renew(
    page: Path,
    parts: Mapping[str, Part],
    *,
    only: Iterable[str],
    introduction: str = INTRODUCTION,
) -> list[str]:
    """Measure some parts and leave the others; return a line for each that could not be measured.

    ``parts`` are in the order of the page.
    """
    kept = read(page.read_text() if page.exists() else "")
    machine = facts()
    kept["machine"] = "## Machine\n\n" + table(["Last measured on", ""], machine.items())
    failures = []
    for name in only:
        say(f"{name} ...")
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        try:
            part = parts[name]()
        except Exception as error:  # noqa: BLE001 - the other parts are worth having
            failures.append(f"{name}: {type(error).__name__}: {error}")
            part = f"## Not measured: {name}\n\n{type(error).__name__}: {error}\n"
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        where = machine["CPU"]
        kept[name] = f"{part.strip()}\n\nMeasured {when} on {where}; load average before: {load}."
        page.write_text(written(kept, ["machine", *parts], introduction=introduction))
    say(f"written: {page}")
    for failure in failures:
        say(f"NOT MEASURED: {failure}")
    return failures


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)
