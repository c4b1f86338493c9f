"""Messages to bytes and back, nothing lost on the way."""

from datetime import timedelta

import pytest

from shared.bus.codec import (
    contracts_by_topic,
    decode,
    decode_error,
    encode,
    encode_error,
    has_expired,
    new_metadata,
)
from shared.bus.port import Delivery
from shared.clock import FakeClock
from shared.contracts.meter import MeterSampled
from shared.contracts.site import Circuit, Evse, PhaseLimits, SiteChanged, SiteConfig
from shared.errors import HandlerFailed, ProtocolViolation, Refused
from shared.units import PhaseAmps

CLOCK = FakeClock()
SAMPLE = MeterSampled(meter_id="m", sampled_at=CLOCK.now(), current_a=PhaseAmps(l1=1.0, l3=0.0))


def test_an_unknown_wiring_rotation_stays_unknown_on_the_wire() -> None:
    circuit = Circuit(id="main", limit_a=PhaseLimits(L1=32, L2=32, L3=32))
    evse = Evse(id="bay", station="CP1", circuit="main", rotation=None)
    changed = SiteChanged(site=SiteConfig(circuits=(circuit,), evses=(evse,)))
    assert decode(changed.topic, encode(changed)) == changed


def test_an_unknown_current_stays_unknown_on_the_wire() -> None:
    arrived = decode(SAMPLE.topic, encode(SAMPLE))
    assert isinstance(arrived, MeterSampled)
    assert arrived.current_a.l2 is None


def test_unknown_fields_are_ignored() -> None:
    body = encode(SAMPLE).replace(b'{"meter_id"', b'{"new_in_v9":1,"meter_id"')
    assert decode(SAMPLE.topic, body) == SAMPLE


@pytest.mark.parametrize(
    ("topic", "body"),
    [("no.such.v1", b"{}"), (SAMPLE.topic, b"{}"), (SAMPLE.topic, b"\xff")],
)
def test_what_has_no_contract_is_a_protocol_violation(topic: str, body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(topic, body)


def test_every_topic_is_noun_verb_version() -> None:
    for topic in contracts_by_topic():
        noun, verb, version = topic.split(".")
        assert all((noun, verb, version.startswith("v"))), topic


def test_an_error_travels_with_its_class_and_an_unexpected_one_tells_nothing() -> None:
    assert repr(decode_error(encode_error(Refused("no")))) == repr(Refused("no"))
    unexpected = decode_error(encode_error(ValueError("secret")))
    assert isinstance(unexpected, HandlerFailed)
    assert "secret" not in str(unexpected)


def test_a_message_keeps_the_correlation_of_its_cause() -> None:
    first = new_metadata("a/1", CLOCK, None)
    second = new_metadata("b/1", CLOCK, Delivery(SAMPLE, first))
    assert second.correlation_id == first.correlation_id == first.message_id
    assert second.causation_id == first.message_id


def test_a_sample_expires_and_a_billing_fact_never_does() -> None:
    meta = new_metadata("a/1", CLOCK, None)
    assert not has_expired(SAMPLE, meta, CLOCK.now())
    assert has_expired(SAMPLE, meta, CLOCK.now() + timedelta(seconds=11))
