"""The schemas that the ``ocpp`` package ships, compiled once each."""

import json
from functools import cache
from importlib.resources import files

import jsonschema_rs

_SCHEMAS = files("ocpp.v16") / "schemas"


@cache
def actions() -> frozenset[str]:
    """Return every action of OCPP 1.6 and its security extension."""
    names = (entry.name.removesuffix(".json") for entry in _SCHEMAS.iterdir())
    return frozenset(name for name in names if not name.endswith(("Response", ".py")))


@cache
def request_validator(action: str) -> jsonschema_rs.Draft4Validator:
    """Return the compiled schema of a request."""
    return _compiled(action)


@cache
def response_validator(action: str) -> jsonschema_rs.Draft4Validator:
    """Return the compiled schema of a response."""
    return _compiled(f"{action}Response")


def _compiled(name: str) -> jsonschema_rs.Draft4Validator:
    schema = json.loads((_SCHEMAS / f"{name}.json").read_text("utf-8-sig"))
    # The drafts of the two sets of schemas differ only in words that none of them uses. Timestamps
    # are read by our own rules, so their format is not checked here.
    return jsonschema_rs.Draft4Validator(schema, validate_formats=False)
