"""The site as a YAML file: read with the place of every mistake, written as people write it."""

from collections.abc import Hashable
from typing import Any

import yaml
from pydantic import ValidationError

from api.domain.problem import Problem, named_path
from api.domain.site_secrets import Document
from shared.contracts.site import SiteConfig

try:
    from yaml import CSafeDumper as SafeDumper
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # pragma: no cover - PyYAML without libyaml is slower and does the same
    from yaml import SafeDumper, SafeLoader  # type: ignore[assignment]

MAX_DEPTH = 32
"""Deeper nesting is no site but an attack on the parser."""


class UnreadableFile(ValueError):
    """The text is no YAML mapping. Line and column count from 1."""

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line = line
        self.column = column


class _Loader(SafeLoader):
    """The safe loader, refusing a key that is written twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key.value!r} is written twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Document:
    """Return the document in a YAML text. Raises ``UnreadableFile`` saying where it fails."""
    try:
        _refuse_traps(text)
        document = yaml.load(text, _Loader)  # noqa: S506 - derived from the safe loader
    except UnreadableFile:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UnreadableFile(error.problem or "no YAML", line=line, column=column) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UnreadableFile(str(error)) from error
    if not isinstance(document, dict):
        raise UnreadableFile("a site is a mapping: begin with, for example, `name: My garage`")
    return document


def _refuse_traps(text: str) -> None:
    """Aliases can make a small text expand without end, deep nesting exhausts the stack."""
    depth = 0
    for event in yaml.parse(text, SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _trap("anchors and aliases are not supported: write the part out", event)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _trap(f"more than {MAX_DEPTH} levels are not supported", event)


def _trap(message: str, event: yaml.Event) -> UnreadableFile:
    mark = event.start_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return UnreadableFile(message, line=line, column=column)


def write_yaml(document: Document) -> str:
    """Return a document as YAML, in the order of its fields."""
    text = yaml.dump(document, Dumper=SafeDumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text)


def site_of(document: Document) -> tuple[SiteConfig | None, list[Problem]]:
    """Return the site in a document, or what is wrong with its fields."""
    try:
        return SiteConfig.model_validate(document), []
    except ValidationError as error:
        return None, problems_of(error, document)


def problems_of(error: ValidationError, document: Any) -> list[Problem]:
    """Return what pydantic found, by paths that name parts by id."""
    return [
        Problem(named_path(document, found["loc"]), _say(found["type"], found["msg"]))
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _say(kind: str, message: str) -> str:
    if kind == "string_type":
        return "must be a text: put it in quotes"
    if kind == "extra_forbidden":
        return "there is no such setting: check the spelling"
    return message.removeprefix("Value error, ")
