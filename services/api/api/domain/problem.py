"""What is wrong with something an operator wrote, where, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """Whether a problem keeps a configuration from being saved."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One finding. ``path`` names parts by id: ``evses[bay-03].circuit``."""

    path: str
    message: str
    """What to do, in one sentence."""
    severity: Severity = Severity.ERROR


def errors_in(problems: list[Problem]) -> list[Problem]:
    """Return the problems that forbid saving."""
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def named_path(document: Any, location: tuple[int | str, ...]) -> str:
    """Return a pydantic location as a path that names list items by their id where they have one.

    Locations may contain words that are no part of the document (names of union members); they
    are shown as they are.
    """
    path, here = "", document
    for step in location:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list | tuple) and step < len(here) else None
            name = here.get("id") if isinstance(here, dict) else None
            path += f"[{name if isinstance(name, str) and name else step}]"
        else:
            here = here.get(step) if isinstance(here, dict) else None
            path += f".{step}" if path else step
    return path
