"""Checks payloads against the schemas of OCPP 1.6, as the ``ocpp`` package carries them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import ocpp

SCHEMAS = Path(ocpp.__file__).parent / "v16" / "schemas"


def assert_valid(action: str, payload: dict[str, Any]) -> None:
    """Fail unless a call's payload fits its schema."""
    jsonschema.Draft4Validator(_schema(action)).validate(payload)


def assert_valid_answer(action: str, payload: dict[str, Any]) -> None:
    """Fail unless an answer's payload fits its schema."""
    jsonschema.Draft4Validator(_schema(f"{action}Response")).validate(payload)


@cache
def _schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text("utf-8-sig"))
