"""The slot of a connector: latest wins, sparing repetition, an end by silence."""

from ocpp_server.domain.lease import Held, Slot, limit_of
from ocpp_server.domain.profiles import Limit
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode


def setpoint(revision: int = 1, limit_a: float = 16, **changes: object) -> ApplySetpoint:
    values: dict[str, object] = {
        "station_id": "CP1",
        "evse_id": "bay-1",
        "connector": 1,
        "revision": revision,
        "limit_a": limit_a,
        "lease_s": 100,
        "reason": Reason(code=ReasonCode.MAXIMUM),
    }
    return ApplySetpoint(**(values | changes))  # type: ignore[arg-type]


def held(limit_a: float, until: float) -> Held:
    return Held(limit=Limit(limit_a=limit_a), until=until, lease_s=100)


def test_the_latest_revision_wins() -> None:
    slot = Slot()
    assert slot.put(setpoint(2, 10), 0)
    assert not slot.put(setpoint(1, 16), 0)
    assert slot.wanted is not None
    assert limit_of(slot.wanted) == Limit(limit_a=10)


def test_an_empty_slot_never_expires() -> None:
    assert not Slot().has_expired(1e9)


def test_a_new_limit_is_sent() -> None:
    slot = Slot(held=held(10, until=100))
    assert slot.must_send(Limit(limit_a=16), 0)


def test_other_phases_are_a_new_limit() -> None:
    slot = Slot(held=held(16, until=100))
    assert slot.must_send(Limit(limit_a=16, phases=1), 0)


def test_what_the_box_may_have_lost_is_sent() -> None:
    slot = Slot(held=held(16, until=100))
    slot.put(setpoint(), 0)
    slot.answered = True
    slot.send_again()
    assert not slot.answered
    assert slot.must_send(Limit(limit_a=16), 0)


def test_nothing_is_sent_again_when_nothing_is_wanted() -> None:
    slot = Slot()
    slot.send_again()
    assert slot.answered


def test_the_same_limit_is_sent_only_when_less_than_half_of_the_lease_is_left() -> None:
    slot = Slot(held=held(16, until=100))
    assert not slot.must_send(Limit(limit_a=16), 50)
    assert slot.must_send(Limit(limit_a=16), 51)


def test_silence_of_load_management_ends_the_lease() -> None:
    slot = Slot()
    slot.put(setpoint(), 0)
    assert not slot.has_expired(99.9)
    assert slot.has_expired(100)


def test_renewal_moves_the_end() -> None:
    slot = Slot()
    slot.put(setpoint(1), 0)
    slot.put(setpoint(2), 60)
    assert not slot.has_expired(159)
