"""Folding billed facts: the order of arrival and repetition change nothing."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.domain.session_record import SUPERSEDED, SessionRecord, ended, started, superseded
from shared.contracts.session import SessionEnded, SessionStarted

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLACE = {"session_id": "s", "evse_id": "e", "station_id": "b", "connector": 1}
START = SessionStarted(
    **PLACE, started_at=NOON, token="card", energy_start_wh=1000, transaction_id=7
)
END = SessionEnded(
    **PLACE,
    ended_at=NOON + timedelta(hours=1),
    energy_stop_wh=5000,
    reason="Local",
    token="stopper",
    transaction_id=7,
)


def fold(facts: list[SessionStarted | SessionEnded]) -> SessionRecord:
    record: SessionRecord | None = None
    for fact in facts:
        record = started(record, fact) if isinstance(fact, SessionStarted) else ended(record, fact)
    assert record is not None
    return record


def opened(session_id: str, hour: int) -> SessionRecord:
    at = NOON + timedelta(hours=hour)
    return SessionRecord(
        session_id=session_id, evse_id="e", station_id="b", connector=1, started_at=at
    )


@given(st.lists(st.sampled_from([START, END])).filter(lambda facts: {*facts} == {START, END}))
def test_any_order_and_repetition_makes_the_same_record(
    facts: list[SessionStarted | SessionEnded],
) -> None:
    record = fold(facts)
    assert (record.started_at, record.ended_at) == (START.started_at, END.ended_at)
    assert (record.energy_wh, record.reason, record.transaction_id) == (4000, "Local", 7)


def test_energy_is_unknown_while_a_register_is() -> None:
    assert fold([START]).energy_wh is None
    assert fold([END]).energy_wh is None


def test_the_token_that_started_is_not_replaced_by_the_one_that_stopped() -> None:
    assert fold([START, END]).token == "card"


def test_a_second_end_changes_nothing() -> None:
    other = END.model_copy(update={"reason": "PowerLoss", "ended_at": NOON + timedelta(hours=9)})
    assert fold([START, END, other]) == fold([START, END])


def test_a_later_start_supersedes_whatever_was_open() -> None:
    records = [opened("c", 5), opened("a", 0), opened("b", 2)]
    closed = superseded(records)
    assert [(r.session_id, r.ended_at) for r in closed] == [
        ("a", NOON + timedelta(hours=2)),
        ("b", NOON + timedelta(hours=5)),
    ]
    assert {r.reason for r in closed} == {SUPERSEDED}
    assert all(r.energy_wh is None for r in closed)


def test_a_real_end_replaces_superseded() -> None:
    closed = superseded([opened("s", 0), opened("t", 2)])[0]
    record = ended(closed, END)
    assert (record.reason, record.ended_at) == ("Local", END.ended_at)


def test_a_session_that_ended_is_not_superseded() -> None:
    assert superseded([ended(opened("s", 0), END), opened("t", 2)]) == []


def test_one_open_session_stays_open() -> None:
    assert superseded([opened("a", 0)]) == []
