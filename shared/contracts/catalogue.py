"""Writes ``docs/messages.md`` from the contracts: ``python -m shared.contracts.catalogue``."""

import ast
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path

from pydantic import BaseModel

import shared.contracts
from shared.contracts.message import Command, Contract, Event, Message, Request

DOCUMENT = Path(__file__).parents[2] / "docs" / "messages.md"
PREAMBLE = """\
# Messages

Generated from `shared/contracts` by `python -m shared.contracts.catalogue`; do not edit.

Events are facts for any number of listeners, commands are orders to the one owner of an address,
and requests are questions to it. The routing key is the topic followed by the address, the payload
is JSON, and metadata travels beside it. Fields without a default must be given; `None` is unknown
and never zero; times are UTC; units are suffixes. What is too old is not delivered any more.
"""
KINDS: dict[type[Message], str] = {Event: "event", Command: "command", Request: "request"}


def classes() -> Iterator[type]:
    """Yield every class that a module of ``shared.contracts`` defines, in order of the source."""
    for info in pkgutil.iter_modules(shared.contracts.__path__):
        module = importlib.import_module(f"{shared.contracts.__name__}.{info.name}")
        yield from (
            value
            for value in vars(module).values()
            if inspect.isclass(value) and value.__module__ == module.__name__
        )


def messages() -> list[type[Message]]:
    """Return every message, by topic."""
    found = [cls for cls in classes() if issubclass(cls, Message) and "topic" in vars(cls)]
    return sorted(found, key=lambda message: message.topic)


def kind(message: type[Message]) -> str:
    """Return whether a message is an event, a command or a request."""
    return next(name for base, name in KINDS.items() if issubclass(message, base))


def is_durable(message: type[Message]) -> bool:
    """Tell whether a message is safe once it is published."""
    return issubclass(message, Event) and message.durable


def expiry(message: type[Message]) -> str:
    """Return after how many seconds a message is not delivered any more."""
    return "never" if message.expires_after_s is None else f"{message.expires_after_s:g} s"


def document() -> str:
    """Return the whole page."""
    sections = [
        PREAMBLE,
        _overview(),
        *(_section(message) for message in messages()),
        "## What messages are made of\n",
        *(_part(cls) for cls in _parts()),
    ]
    return "\n".join(sections)


def _parts() -> list[type[Enum] | type[Contract]]:
    """Return what messages are made of, by name: enumerations, and contracts without a topic."""
    enumerations = [cls for cls in classes() if issubclass(cls, Enum)]
    contracts = [cls for cls in classes() if issubclass(cls, Contract)]
    made_of = [cls for cls in contracts if cls.model_fields and "topic" not in vars(cls)]
    return sorted([*enumerations, *made_of], key=lambda cls: cls.__name__)


def _overview() -> str:
    rows = [
        f"| [`{m.topic}`](#{_anchor(m)}) | {kind(m)} | {m.address_space} | "
        f"{'yes' if is_durable(m) else 'no'} | {expiry(m)} |"
        for m in messages()
    ]
    head = "| topic | kind | address | durable | expires |\n|---|---|---|---|---|"
    return "\n".join([head, *rows, ""])


def _anchor(message: type[Message]) -> str:
    return message.topic.replace(".", "")


def _section(message: type[Message]) -> str:
    lines = [
        f"## {message.topic}\n",
        f"{_text(message)}\n",
        f"- `{message.__name__}`, {kind(message)} to or about {message.address_space} "
        f"`{message.address_field}`",
        f"- durable: {'yes' if is_durable(message) else 'no'}; expires: {expiry(message)}",
    ]
    if issubclass(message, Request):
        lines.append(f"- answered with `{message.reply.__name__}`")
    return "\n".join([*lines, "", _fields(message)])


def _part(cls: type[Enum] | type[Contract]) -> str:
    if issubclass(cls, Enum):
        meanings = _meanings(cls)
        rows = [f"- `{member.value}` {meanings.get(member.name, '')}".rstrip() for member in cls]
        content = "\n".join([*rows, ""])
    else:
        content = _fields(cls)
    return "\n".join([f"### {cls.__name__}\n", f"{_text(cls)}\n", content])


def _fields(model: type[BaseModel]) -> str:
    types, meanings = _annotations(model), _meanings(model)
    rows = []
    for name, field in model.model_fields.items():
        default = (
            ""
            if field.is_required()
            else f"`{_default(field.get_default(call_default_factory=True))}`"
        )
        kind_of = types.get(name, "").replace("|", "\\|")
        rows.append(f"| `{name}` | `{kind_of}` | {default} | {meanings.get(name, '')} |")
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _default(value: object) -> str:
    if isinstance(value, BaseModel):
        return f"{type(value).__name__}()"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple) and value and all(isinstance(item, Enum) for item in value):
        return "(" + ", ".join(str(item.value) for item in value) + ")"
    return repr(value)


def _text(cls: type) -> str:
    return inspect.getdoc(cls) or ""


def _body(cls: type) -> list[ast.stmt]:
    definition = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class is one
    return definition.body


def _annotations(cls: type) -> dict[str, str]:
    """Return the types of the fields as the source writes them."""
    return {
        statement.target.id: ast.unparse(statement.annotation)
        for statement in _body(cls)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def _meanings(cls: type) -> dict[str, str]:
    """Return the docstrings under fields and enumeration members."""
    found: dict[str, str] = {}
    body = _body(cls)
    for statement, after in pairwise(body):
        target = _target(statement)
        if target and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[target] = " ".join(str(after.value.value).split())
    return found


def _target(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None


def main(arguments: list[str]) -> int:
    """Write the page; with ``--check`` only tell whether it is what would be written."""
    if "--check" not in arguments:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(document(), encoding="utf-8")
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == document():
        return 0
    sys.stderr.write(f"{DOCUMENT} is not what the contracts say: run `make messages`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
