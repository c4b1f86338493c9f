"""The memory of load management as plain JSON values, and back, exactly.

Works on whatever the memory is made of (dataclasses, tuples, enums, containers, numpy), so that a
new field needs nothing here. Fields that begin with ``_`` are no memory but kept for speed: they
are left out, and begin with their defaults. Only classes of ``loadmgr.domain`` and of the contracts
are made from what is read, and no code of theirs runs but that of enums and contracts.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import import_module
from math import isfinite
from operator import attrgetter
from typing import Any

import numpy as np

from shared.contracts.message import Contract

CLASS = "~"
HOMES = ("loadmgr.domain.", "shared.contracts.", "shared.units")
PLAIN = frozenset({type(None), bool, int, str})


class MemoryDoesNotFit(ValueError):
    """What was remembered is not of this program: a class or a field is missing."""


def packed(value: Any) -> Any:
    """Return a value in JSON's words. Raises ``TypeError`` for a kind that is not known here."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is float:
        return value if isfinite(value) else {CLASS: "float", "is": str(value)}
    if kind is tuple:
        return [packed(item) for item in value]
    if is_dataclass(kind):
        return _packed_dataclass(kind, value)
    return _packed_other(kind, value)


def unpacked(form: Any) -> Any:
    """Return the value that ``packed`` was given. Raises ``MemoryDoesNotFit``."""
    if type(form) is list:
        return tuple(unpacked(item) for item in form)
    if type(form) is not dict:
        return form
    name = form.get(CLASS)
    builtin = _BUILT_IN.get(name) if isinstance(name, str) else None
    try:
        if builtin is not None:
            return builtin(form)
        return _made(_class_named(str(name)), form)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, MemoryDoesNotFit):
            raise
        raise MemoryDoesNotFit(f"{name}: {error}") from error


def _packed_dataclass(kind: Any, value: Any) -> Any:
    """Most fields are plain; there are many, and the decision waits for this once an hour."""
    name, names, read = _reader(kind)
    values = [v if type(v) in PLAIN else packed(v) for v in read(value)]
    return {CLASS: name, **dict(zip(names, values, strict=True))}


def _packed_other(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Enum):
        return {CLASS: _name(kind), "is": value.value}
    if issubclass(kind, Contract):
        return {CLASS: _name(kind), "is": value.model_dump(mode="json")}
    if issubclass(kind, tuple):
        return {CLASS: _name(kind), "is": [packed(item) for item in value]}
    if issubclass(kind, dict):
        pairs = [[packed(key), packed(item)] for key, item in value.items()]
        return {CLASS: "dict", "is": pairs}
    if kind in _SEQUENCES:
        items = [packed(item) for item in value]
        most = value.maxlen if kind is deque else None
        return {CLASS: kind.__name__, "is": items, "most": most}
    return _packed_scalar(kind, value)


def _packed_scalar(kind: type[Any], value: Any) -> Any:
    if kind is datetime:
        return {CLASS: "datetime", "is": value.isoformat()}
    if issubclass(kind, np.ndarray):
        return {CLASS: "array", "of": value.dtype.str, "is": packed(tuple(value.tolist()))}
    if issubclass(kind, np.generic):
        return {CLASS: "number", "of": value.dtype.str, "is": packed(value.item())}
    raise TypeError(f"{kind.__qualname__} cannot be written into the decision log")


_SEQUENCES: dict[type[Any], Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    deque: deque,
}
_BUILT_IN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "float": lambda form: float(form["is"]),
    "dict": lambda form: {unpacked(key): unpacked(item) for key, item in form["is"]},
    "list": lambda form: list(unpacked(form["is"])),
    "set": lambda form: set(unpacked(form["is"])),
    "frozenset": lambda form: frozenset(unpacked(form["is"])),
    "deque": lambda form: deque(unpacked(form["is"]), maxlen=form["most"]),
    "datetime": lambda form: datetime.fromisoformat(form["is"]),
    "array": lambda form: np.array(unpacked(form["is"]), dtype=form["of"]),
    "number": lambda form: np.dtype(form["of"]).type(unpacked(form["is"])),
}


def _name(kind: Any) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@cache
def _reader(kind: Any) -> tuple[str, tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Return the name of a dataclass, its fields, and what reads all of them at once."""
    names = tuple(field.name for field in fields(kind) if not field.name.startswith("_"))
    read = attrgetter(*names)
    if len(names) == 1:
        return _name(kind), names, lambda value: (read(value),)
    return _name(kind), names, read


@cache
def _class_named(name: str) -> type[Any]:
    module, _, path = name.partition(":")
    if not f"{module}.".startswith(HOMES):
        raise MemoryDoesNotFit(f"{name!r} is not of load management")
    found: Any
    try:
        found = import_module(module)
        for step in path.split("."):
            found = getattr(found, step)
    except (ImportError, AttributeError) as error:
        raise MemoryDoesNotFit(f"there is no {name} any more") from error
    if not isinstance(found, type):
        raise MemoryDoesNotFit(f"{name} is no class")
    return found


def _made(kind: type[Any], form: dict[str, Any]) -> Any:
    if issubclass(kind, Enum):
        return kind(form["is"])
    if issubclass(kind, Contract):
        return kind.model_validate(form["is"])
    if issubclass(kind, tuple):
        return kind(*unpacked(form["is"]))
    if not is_dataclass(kind):
        raise MemoryDoesNotFit(f"{_name(kind)} holds no data")
    return _made_dataclass(kind, form)


def _made_dataclass(kind: type[Any], form: dict[str, Any]) -> Any:
    made = object.__new__(kind)
    for field in fields(kind):
        if field.name in form:
            value = unpacked(form[field.name])
        elif field.default is not MISSING:
            value = field.default
        elif field.default_factory is not MISSING:
            value = field.default_factory()
        else:
            raise MemoryDoesNotFit(f"{_name(kind)} has a field {field.name} now")
        object.__setattr__(made, field.name, value)
    return made
