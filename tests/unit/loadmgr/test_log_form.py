"""Records become lines of JSON and come back as they were; nothing in them is secret."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from loadmgr.domain.log_form import FACTS, LogReader, LogWriter, NoRecord
from loadmgr.domain.log_record import (
    Begun,
    Decided,
    Forgotten,
    Heard,
    LogRecord,
    Missing,
    OfferWord,
    Remembered,
    SetpointWord,
    SiteLoaded,
    StationLost,
    remembered,
)
from loadmgr.domain.log_scan import Configured, LogScan, Said, Sent
from loadmgr.domain.memory_form import MemoryDoesNotFit, packed
from loadmgr.domain.public_site import HIDDEN, public_site
from loadmgr.domain.state import State
from shared.bus.topology import FACTS_TO_LOADMGR
from shared.contracts.charging import (
    LimitChanged,
    LimitScope,
    LoadmgrTicked,
    PermissionChanged,
    Reason,
    ReasonCode,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import ChargingPlan, PlanChanged
from shared.contracts.site import SiteChanged
from shared.contracts.station import StationDisconnected
from shared.units import PhaseAmps
from tests.unit.loadmgr.recording import PASSWORD, TOKEN, site

AT = datetime(2026, 3, 1, 8, 0, 0, 123_457, tzinfo=UTC)
REASON = Reason(code=ReasonCode.CIRCUIT, circuit="main", phase="L1")
SETPOINT = SetpointWord("a", 7, 6.1, None, REASON)
OFFERS = {"a": OfferWord(6.1, None, REASON), "b": OfferWord(0.0, 3, REASON)}


def observed(**changes: Any) -> EvseObserved:
    given = {"evse_id": "a", "station_id": "st", "connector": 1, "epoch": 1, "online": True}
    return EvseObserved.model_validate({**given, "observed_at": AT, **changes})


def sample(first_a: float) -> MeterSampled:
    return MeterSampled(meter_id="grid", sampled_at=AT, current_a=PhaseAmps(l1=first_a))


RECORDS: list[LogRecord] = [
    Begun(at=AT, program="0.1.0", instance="loadmgr/a1"),
    SiteLoaded(at=AT, site=public_site(site())),
    SiteLoaded(at=AT, site=public_site(site()), is_new=False),
    remembered(State(revision=3), AT),
    Heard(at=AT, fact=observed(state=EvseState.B)),
    Heard(at=AT, fact=observed(state=EvseState.C, current_a=PhaseAmps(l1=0.1 + 0.2))),
    Heard(at=AT, fact=sample(1.5)),
    Heard(at=AT, fact=sample(1.5)),
    Heard(
        at=AT,
        fact=PlanChanged(evse_id="a", plan=ChargingPlan(departs_at=AT), changed_at=AT),
    ),
    Heard(
        at=AT,
        fact=LimitChanged(
            scope=LimitScope.DIMMING, target="grid", source="box", limit_w=4200, changed_at=AT
        ),
    ),
    Heard(at=AT, fact=StationDisconnected(station_id="st", epoch=1, disconnected_at=AT)),
    StationLost(at=AT, station_id="st"),
    Forgotten(at=AT),
    Decided(at=AT, setpoints=(SETPOINT,)),
    Decided(at=AT, setpoints=(), offers=OFFERS),
    Decided(at=AT, setpoints=(), offers=OFFERS),
    Decided(at=AT, setpoints=(), offers={"b": OFFERS["a"]}),
    Missing(at=AT, records=12),
]


def test_records_come_back_as_they_were() -> None:
    writer, reader = LogWriter(), LogReader()
    for record in RECORDS:
        assert reader.record(writer.line(record)) == record


def test_times_keep_their_microseconds() -> None:
    record = LogReader().record(LogWriter().line(Forgotten(at=AT)))
    assert record.at.timestamp() == AT.timestamp()


def test_a_fact_that_repeats_is_written_as_what_differs() -> None:
    writer = LogWriter()
    writer.line(Heard(at=AT, fact=sample(1.5)))
    words = orjson.loads(writer.line(Heard(at=AT, fact=sample(2.5))))
    assert words["differs"] == {"current_a": {"l1": 2.5, "l2": None, "l3": None}}
    assert words["of"] == "grid"


def test_dimming_can_always_be_read_alone() -> None:
    writer = LogWriter()
    told = LimitChanged(
        scope=LimitScope.DIMMING, target="grid", source="box", limit_w=4200, changed_at=AT
    )
    for _ in range(2):
        words = orjson.loads(writer.line(Heard(at=AT, fact=told)))
        assert (words["fact"]["scope"], words["fact"]["limit_w"]) == ("dimming", 4200)


def test_only_offers_that_changed_are_written() -> None:
    writer = LogWriter()
    writer.line(Decided(at=AT, setpoints=(), offers=OFFERS))
    changed = {"a": OFFERS["a"]._replace(limit_a=8.0)}
    words = orjson.loads(writer.line(Decided(at=AT, setpoints=(), offers=changed)))
    assert list(words["offers"]) == ["a"]
    assert words["gone"] == ["b"]


@pytest.mark.parametrize("limit_a", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_lacks_stays_what_it_is(limit_a: float) -> None:
    told = PermissionChanged(
        evse_id="a", source="b", permitted=True, limit_a=limit_a, changed_at=AT
    )
    record = LogReader().record(LogWriter().line(Heard(at=AT, fact=told)))
    assert isinstance(record, Heard)
    assert isinstance(record.fact, PermissionChanged)
    assert str(record.fact.limit_a) == str(limit_a)


def test_tags_are_pseudonyms() -> None:
    line = LogWriter().line(Heard(at=AT, fact=observed(token=TOKEN)))
    assert TOKEN.encode() not in line
    assert b"tag-" in line


def test_all_facts_that_steer_have_a_form() -> None:
    recorded = {*FACTS, SiteChanged.topic, LoadmgrTicked.topic}
    assert {event.topic for event in FACTS_TO_LOADMGR.events} <= recorded


def test_a_site_has_no_secrets_and_decides_alike() -> None:
    line = LogWriter().line(SiteLoaded(at=AT, site=public_site(site())))
    for secret in (TOKEN, PASSWORD, "key-of-the-box", "backend-secret"):
        assert secret.encode() not in line
    shown = public_site(site())
    assert shown.evses[0].backend is not None
    assert shown.evses[1].fixed_token == HIDDEN
    assert [e.max_a for e in shown.evses] == [e.max_a for e in site().evses]


def test_what_is_in_the_address_of_a_backend_is_not_shown() -> None:
    backend = {"url": "wss://user:hush@host.example/path?key=hush", "client_id": "g"}
    evses = [{"id": "a", "station": "box", "circuit": "row", "backend": backend}]
    shown = public_site(site(evses=evses)).evses[0].backend
    assert shown is not None
    assert shown.url == "wss://host.example/path"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"record":"begin"}',
        b'{"record":"dance","at":"2026-03-01T08:00:00+00:00"}',
        b'{"record":"cold","at":"yesterday"}',
        b'{"record":"fact","at":"2026-03-01T08:00:00+00:00","topic":"x","fact":{}}',
        b'{"record":"fact","at":"2026-03-01T08:00:00+00:00","topic":"evse.observed.v1","fact":{}}',
        b'{"record":"begin","at":"2026-03-01T08:00:00+00:00","format":"parkade decision log",'
        b'"version":2,"program":"9","instance":"x"}',
    ],
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(NoRecord):
        LogReader().record(line)


def test_a_memory_that_is_none_is_refused() -> None:
    with pytest.raises(MemoryDoesNotFit):
        Remembered(at=AT, form=packed((1, 2))).state()


def test_a_scan_sees_facts_setpoints_and_sites_only() -> None:
    writer, scan = LogWriter(), LogScan()
    seen = [scan.take(writer.line(record)) for record in RECORDS]
    told = [happening for happening in seen if happening is not None]
    kinds = [type(happening) for happening in told]
    assert kinds == [Configured, Configured, Said, Said, Said, Said, Said, Sent]
    assert isinstance(told[3], Said)
    assert (told[3].words["state"], told[3].words["current_a"]["l1"]) == ("C", 0.1 + 0.2)
    assert told[5] == told[4]
    assert told[-1] == Sent(AT, {"a": 6.1})


def test_a_scan_refuses_what_is_no_record() -> None:
    with pytest.raises(NoRecord):
        LogScan().take(b"hello")
