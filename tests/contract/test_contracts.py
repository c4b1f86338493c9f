"""The contracts: they survive the wire, tolerate what is newer, and do not change silently."""

import difflib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.bus.codec import (
    contracts_by_topic,
    decode,
    decode_error,
    encode,
    encode_error,
)
from shared.contracts import catalogue
from shared.contracts.message import Event, Message, Request
from shared.contracts.meter import MeterSampled
from shared.contracts.site import SiteConfig
from shared.errors import HandlerFailed, ParkadeError, ProtocolViolation, Refused, StoreUnavailable
from tests.contract_facts import sample

SCHEMAS = Path(__file__).parent / "schemas"
RENEW = "PARKADE_RENEW_SCHEMAS"
TOPICS = sorted(contracts_by_topic())

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(SiteConfig, st.builds(SiteConfig, name=st.text(), revision=st.integers()))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))


def schema_of(contract: type[Message]) -> dict[str, Any]:
    """Return everything about a contract that others rely on; prose is left out."""
    told: dict[str, Any] = {
        "topic": contract.topic,
        "kind": catalogue.kind(contract),
        "address": f"{contract.address_space}:{{{contract.address_field}}}",
        "expires_after_s": contract.expires_after_s,
        "payload": without_prose(contract.model_json_schema()),
    }
    if issubclass(contract, Event):
        told["durable"] = contract.durable
    if issubclass(contract, Request):
        told["reply"] = without_prose(contract.reply.model_json_schema())
    return told


def without_prose(schema: Any) -> Any:
    """Drop titles and descriptions: a better sentence is no new contract."""
    if isinstance(schema, dict):
        return {
            key: without_prose(value)
            for key, value in schema.items()
            if not (key in {"title", "description"} and isinstance(value, str))
        }
    return [without_prose(item) for item in schema] if isinstance(schema, list) else schema


def golden_file(topic: str) -> Path:
    """Return where the agreed schema of a topic is kept."""
    return SCHEMAS / f"{topic}.json"


@pytest.mark.parametrize("topic", TOPICS)
def test_contract_is_what_was_agreed(topic: str) -> None:
    present = json.dumps(schema_of(contracts_by_topic()[topic]), indent=2, sort_keys=True) + "\n"
    golden = golden_file(topic)
    if os.environ.get(RENEW):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(present, encoding="utf-8")
    agreed = golden.read_text(encoding="utf-8") if golden.exists() else ""
    difference = "\n".join(
        difflib.unified_diff(agreed.splitlines(), present.splitlines(), "agreed", "now", n=2)
    )
    assert present == agreed, (
        f"the contract {topic} changed:\n{difference}\n"
        "A new field with a default is fine. Anything else breaks services that are still running "
        "the old version: make it a new version of the topic beside this one. If it is fine, "
        f"renew with: {RENEW}=1 pytest tests/contract/test_contracts.py"
    )


def test_every_agreed_contract_still_exists() -> None:
    agreed = {file.stem for file in SCHEMAS.glob("*.json")}
    assert agreed == set(TOPICS), "remove the schema of a topic only when no service sends it"


def test_catalogue_is_up_to_date() -> None:
    written = catalogue.DOCUMENT.read_text(encoding="utf-8")
    assert written == catalogue.document(), "run: python -m shared.contracts.catalogue"


def test_checking_the_catalogue_changes_nothing_and_tells_what_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "messages.md"
    monkeypatch.setattr(catalogue, "DOCUMENT", page)
    assert catalogue.main(["--check"]) == 1
    assert not page.exists()
    assert catalogue.main([]) == 0
    assert catalogue.main(["--check"]) == 0
    page.write_text("old", encoding="utf-8")
    assert catalogue.main(["--check"]) == 1
    assert page.read_text(encoding="utf-8") == "old"


def test_catalogue_names_every_topic() -> None:
    assert [message.topic for message in catalogue.messages()] == TOPICS


@pytest.mark.parametrize("topic", TOPICS)
def test_contract_survives_the_wire(topic: str) -> None:
    contract = contracts_by_topic()[topic]

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages_of(contract))
    def survives(message: Message) -> None:
        assert decode(topic, encode(message)) == message

    survives()


def messages_of(contract: type[Message]) -> st.SearchStrategy[Message]:
    """Return valid messages with arbitrary values in the fields that must be given."""
    return st.builds(contract)


@pytest.mark.parametrize("topic", TOPICS)
def test_routing_key_has_four_words(topic: str) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages_of(contracts_by_topic()[topic]))
    def has_four_words(message: Message) -> None:
        assert message.routing_key.count(".") == 3
        assert len(message.routing_key.encode()) <= 255

    has_four_words()


def test_field_that_is_newer_than_we_are_is_ignored() -> None:
    body = orjson.dumps({**orjson.loads(encode(sample(1.0))), "harmonics": [1, 2, 3]})
    assert decode("meter.sampled.v1", body) == sample(1.0)


def test_unknown_value_stays_unknown_whether_null_or_left_out() -> None:
    body = orjson.loads(encode(sample(1.0)))
    assert decode("meter.sampled.v1", orjson.dumps(body)) == sample(1.0)
    body["current_a"] = {"l1": 1.5}
    decoded = decode("meter.sampled.v1", orjson.dumps(body))
    assert isinstance(decoded, MeterSampled)
    assert decoded.current_a.l2 is None


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("meter.sampled.v9", b"{}"),
        ("meter.sampled.v1", b"{}"),
        ("meter.sampled.v1", b"\xff\x00"),
        ("", b""),
    ],
)
def test_what_has_no_contract_is_a_protocol_violation(topic: str, body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(topic, body)


@pytest.mark.parametrize("error", [Refused("why"), StoreUnavailable("away"), ParkadeError("x")])
def test_expected_error_survives_the_wire(error: ParkadeError) -> None:
    told = decode_error(encode_error(error))
    assert type(told) is type(error)
    assert str(told) == str(error)


def test_error_of_a_class_that_is_not_ours_is_a_failed_handler() -> None:
    for name in ("SystemExit", "annotations", "__builtins__", "NoSuchError"):
        told = decode_error(orjson.dumps({"error": name, "text": "x"}))
        assert type(told) is HandlerFailed
