"""One outlet of a virtual charge point: plug, card, transaction, status."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.configuration import Configuration
from gateway.domain.connector import Connector
from gateway.domain.effects import (
    AskAuthorization,
    Begin,
    Effect,
    End,
    OpenTransaction,
    Sample,
    Status,
    Tell,
    Vacated,
)
from shared.contracts.evse import EvseObserved, EvseState
from tests.ocpp_schemas import assert_valid

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
CARD = "04A1B2C3D4"


@dataclass
class Bay:
    """An outlet, and a clock that goes on by itself only when told."""

    fixed_token: str | None = None
    written: dict[str, str] = field(default_factory=dict)
    now: datetime = START
    fields: dict[str, Any] = field(default_factory=lambda: {"online": True, "token_seen": 0})

    def __post_init__(self) -> None:
        self.connector = Connector(
            1,
            "bay-1",
            fixed_token=self.fixed_token,
            configuration=Configuration(1, self.written),
        )

    def see(self, **fields: Any) -> list[Effect]:
        self.fields |= {"state": EvseState.A, "energy_wh": 100.0} | self.fields | fields
        return self.connector.observe(
            EvseObserved(
                **{
                    "evse_id": "bay-1",
                    "station_id": "S",
                    "connector": 1,
                    "epoch": 1,
                    "observed_at": self.now,
                    **self.fields,
                }
            ),
            self.now,
        )

    def card(self, token: str = CARD) -> list[Effect]:
        return self.see(token=token, token_seen=self.fields["token_seen"] + 1)

    def wait(self, seconds: float) -> list[Effect]:
        self.now += timedelta(seconds=seconds)
        return self.connector.tick(self.now)

    def accept(self, token: str = CARD) -> list[Effect]:
        return self.connector.authorised(token, accepted=True, now=self.now)

    def charge(self) -> Begin:
        """Plug in, show a card that is accepted, and charge."""
        self.see()
        self.see(state=EvseState.B)
        self.card()
        begin = only(self.accept(), Begin)
        self.see(state=EvseState.C)
        return begin


def only(effects: list[Effect], kind: type[Any]) -> Any:
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, effects
    return found[0]


def kinds(effects: list[Effect]) -> list[type[Effect]]:
    return [type(effect) for effect in effects if not isinstance(effect, Status)]


def status(effects: list[Effect]) -> str | None:
    found = [effect.payload for effect in effects if isinstance(effect, Status)]
    for payload in found:
        assert_valid("StatusNotification", payload)
    return found[-1]["status"] if found else None


def test_nothing_is_said_before_anything_is_known() -> None:
    assert Bay().wait(0) == []


def test_plug_first_then_card() -> None:
    bay = Bay()
    assert status(bay.see()) == "Available"
    assert status(bay.see(state=EvseState.B)) == "Preparing"
    assert only(bay.card(), AskAuthorization).token == CARD
    begin = only(bay.accept(), Begin)
    assert_valid("StartTransaction", begin.payload)
    assert begin.payload["meterStart"] == 100
    assert bay.connector.permits_charging


def test_card_first_then_plug() -> None:
    bay = Bay()
    bay.see()
    assert status(bay.card()) == "Preparing"
    assert kinds(bay.accept()) == []
    assert not bay.connector.permits_charging
    only(bay.see(state=EvseState.B), Begin)


def test_authorisation_without_a_vehicle_ends_after_the_connection_time_out() -> None:
    bay = Bay()
    bay.see()
    bay.card()
    bay.accept()
    assert bay.wait(59) == []
    effects = bay.wait(1)
    assert kinds(effects) == [Vacated]
    assert status(effects) == "Available"
    assert kinds(bay.see(state=EvseState.B)) == []


def test_refused_card_starts_nothing() -> None:
    bay = Bay()
    bay.see(state=EvseState.B)
    bay.card()
    assert bay.connector.authorised(CARD, accepted=False, now=bay.now) == []
    assert not bay.connector.permits_charging


def test_what_a_box_shows_first_is_an_old_card() -> None:
    bay = Bay()
    assert AskAuthorization not in kinds(bay.see(token=CARD, token_seen=7))
    assert kinds(bay.see(token=CARD, token_seen=8, epoch=2)) == [], "the box began again"
    assert kinds(bay.see(token=CARD, token_seen=9, epoch=2)) == [AskAuthorization]


def test_same_card_twice_is_asked_twice_but_not_at_once() -> None:
    bay = Bay()
    bay.see()
    assert kinds(bay.card()) == [AskAuthorization]
    assert kinds(bay.card()) == [], "one question at a time"


def test_card_of_another_does_not_stop() -> None:
    bay = Bay()
    bay.charge()
    assert kinds(bay.card("OTHER")) == []
    assert only(bay.card(CARD.lower()), End).payload["reason"] == "Local"


@pytest.mark.parametrize(
    ("energy_wh", "meter_stop"), [(2_345.6, 2_346), (None, 100)], ids=["known", "last known"]
)
def test_unplugging_stops_with_the_last_reading(energy_wh: float | None, meter_stop: int) -> None:
    bay = Bay()
    begin = bay.charge()
    effects = bay.see(state=EvseState.A, energy_wh=energy_wh)
    end = only(effects, End)
    assert_valid("StopTransaction", end.payload)
    assert end.transaction.key == begin.transaction.key
    assert (end.payload["meterStop"], end.payload["reason"]) == (meter_stop, "EVDisconnected")
    assert not end.still_plugged
    assert status(effects) == "Available"


def test_vehicle_that_stays_after_the_stop_is_finishing_and_may_start_again() -> None:
    bay = Bay(fixed_token="FIXED")
    bay.charge()
    effects = bay.connector.stop("Remote", bay.now)
    assert only(effects, End).still_plugged
    assert status(effects) == "Finishing"
    assert kinds(bay.see(state=EvseState.B)) == [], "the fixed token starts at plug-in only"
    assert kinds(bay.card()) == [AskAuthorization]
    only(bay.accept(), Begin)


def test_fixed_token_is_asked_at_plug_in() -> None:
    bay = Bay(fixed_token="FIXED")
    bay.see()
    assert only(bay.see(state=EvseState.B), AskAuthorization).token == "FIXED"


def test_offline_box_keeps_its_transaction() -> None:
    bay = Bay()
    bay.charge()
    assert status(bay.see(online=False, state=None)) == "Unavailable"
    assert bay.connector.permits_charging
    assert kinds(bay.wait(3_600)) == [], "what is not measured is not told"
    assert status(bay.see(online=True, state=EvseState.C)) == "Charging"


@pytest.mark.parametrize(
    ("fields", "limit_a", "expected"),
    [
        ({"state": EvseState.C}, None, "Charging"),
        ({"state": EvseState.B, "offered_a": 16.0}, None, "SuspendedEV"),
        ({"state": EvseState.B}, None, "SuspendedEV"),
        ({"state": EvseState.B, "offered_a": 0.0}, None, "SuspendedEVSE"),
        ({"state": EvseState.B, "offered_a": 16.0}, 0.0, "SuspendedEVSE"),
        ({"state": EvseState.F, "fault": "relay stuck"}, None, "Faulted"),
    ],
)
def test_status_in_a_transaction(
    fields: dict[str, Any], limit_a: float | None, expected: str
) -> None:
    bay = Bay()
    bay.charge()
    bay.connector.limit_a = limit_a
    bay.see(**fields)
    assert status(bay.connector.report(bay.now, anyway=True)) == expected


def test_fault_is_told_in_the_words_of_the_box() -> None:
    bay = Bay()
    told = [e.payload for e in bay.see(fault="x" * 80) if isinstance(e, Status)]
    assert_valid("StatusNotification", told[0])
    assert (told[0]["errorCode"], told[0]["info"]) == ("OtherError", "x" * 50)
    assert not bay.connector.can_start


def test_meter_values_come_at_the_interval() -> None:
    bay = Bay(written={"MeterValueSampleInterval": "20"})
    bay.charge()
    assert kinds(bay.wait(19)) == []
    sample = only(bay.wait(1), Sample)
    assert_valid("MeterValues", sample.payload)
    assert kinds(bay.wait(10)) == []
    assert kinds(bay.wait(10)) == [Sample]


def test_interval_of_zero_means_no_meter_values() -> None:
    bay = Bay(written={"MeterValueSampleInterval": "0"})
    bay.charge()
    assert kinds(bay.wait(10_000)) == []


def test_only_wished_measurands_are_sampled() -> None:
    bay = Bay(written={"MeterValuesSampledData": "Current.Offered, Power.Active.Import"})
    bay.charge()
    bay.see(power_w=7.0)
    values = only(bay.wait(30), Sample).payload["meterValue"][0]["sampledValue"]
    assert [value["measurand"] for value in values] == ["Power.Active.Import"]


def test_triggered_meter_values_without_a_transaction_name_none() -> None:
    bay = Bay()
    bay.see()
    told = only(bay.connector.triggered_sample(bay.now), Tell)
    assert_valid("MeterValues", told.payload)
    assert "transactionId" not in told.payload


def test_start_is_told_when_the_meter_shows_something() -> None:
    bay = Bay()
    bay.see(energy_wh=None)
    bay.see(state=EvseState.B)
    bay.card()
    assert kinds(bay.accept()) == []
    assert bay.connector.permits_charging, "the vehicle need not wait for that"
    bay.now += timedelta(seconds=3)
    begin = only(bay.see(energy_wh=5_000.0), Begin)
    assert begin.payload["meterStart"] == 5_000
    assert begin.payload["timestamp"] == "2026-01-05T12:00:00.000Z"


def test_box_without_a_meter_starts_at_zero_after_a_minute_and_next_time_at_once() -> None:
    bay = Bay()
    bay.see(energy_wh=None)
    bay.see(state=EvseState.B)
    bay.card()
    bay.accept()
    assert kinds(bay.wait(64)) == []
    assert only(bay.wait(1), Begin).payload["meterStart"] == 0
    bay.see(state=EvseState.A)
    bay.see(state=EvseState.B)
    bay.card()
    only(bay.accept(), Begin)


def test_stop_before_the_start_was_told_tells_both_in_order() -> None:
    bay = Bay()
    bay.see(energy_wh=None)
    bay.see(state=EvseState.B)
    bay.card()
    bay.accept()
    assert kinds(bay.see(state=EvseState.A)) == [Begin, End, Vacated]


def test_refused_start_stops_by_policy() -> None:
    bay = Bay()
    bay.charge()
    effects = bay.connector.started(9, accepted=False, now=bay.now)
    assert only(effects, End).payload["reason"] == "DeAuthorized"


def test_refused_start_only_pauses_when_the_backend_wishes_so() -> None:
    bay = Bay(written={"StopTransactionOnInvalidId": "false"})
    bay.charge()
    assert kinds(bay.connector.started(9, accepted=False, now=bay.now)) == []
    assert not bay.connector.permits_charging
    assert bay.connector.transaction is not None


def resumed(*, operative: bool = True) -> Bay:
    bay = Bay(fixed_token="FIXED")
    bay.connector.is_operative = operative
    bay.connector.resume(
        OpenTransaction(
            key="k", connector=1, token=CARD, meter_start_wh=1, started_at=START, backend_id=5
        )
    )
    return bay


def test_resumed_transaction_goes_on_when_the_vehicle_is_there() -> None:
    bay = resumed()
    assert kinds(bay.see(state=EvseState.C)) == []
    assert bay.connector.permits_charging


def test_resumed_transaction_ends_when_the_vehicle_has_gone() -> None:
    bay = resumed()
    assert only(bay.see(state=EvseState.A), End).transaction.backend_id == 5


def test_unknown_state_is_no_vehicle_that_left() -> None:
    bay = resumed()
    assert kinds(bay.see(state=None)) == []
    assert kinds(bay.see(state=EvseState.B)) == []


def test_inoperative_outlet_waits_for_its_transaction() -> None:
    bay = Bay()
    bay.charge()
    assert bay.connector.change_availability(operative=False) == "Scheduled"
    assert bay.connector.permits_charging
    assert status(bay.see(state=EvseState.A)) == "Unavailable"
    assert kinds(bay.card()) == []
    assert bay.connector.change_availability(operative=True) == "Accepted"
    assert bay.connector.can_start


def test_scheduled_unavailability_survives_a_restart() -> None:
    bay = resumed(operative=False)
    assert status(bay.see(state=EvseState.C)) == "Charging"
    assert status(bay.see(state=EvseState.A)) == "Unavailable"
