"""Field notes 5.4, habits 27 to 31: metering and configuration, with the frames that show them.

How single values are read (28) is a table in ``tests/unit/ocpp_server/test_meter_values.py``.
"""

from typing import Any

import pytest

from ocpp_server.answers import Fault
from shared.bus.port import Delivery
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.ocpp import CallResult, CallStation
from shared.contracts.session import MeterRow, MeterValuesRecorded
from shared.contracts.site import OcppServerConfig, SiteConfig, Station
from shared.contracts.station import StationConfigurationRead
from tests.ocpp_core import Core, FakeStation, evse, site_of

AT = "2026-01-01T12:00:00Z"
MEASURANDS = "MeterValuesSampledData"


def keys(**values: str) -> dict[str, Any]:
    """GetConfiguration.conf."""
    return {
        "configurationKey": [{"key": k, "readonly": False, "value": v} for k, v in values.items()]
    }


async def set_up(core: Core, boot: dict[str, str] | None = None, **answers: Any) -> FakeStation:
    """Connect a station that answers like this, boot it, and let it be set up."""
    station = await core.connect()
    station.answers |= answers
    told = {"chargePointVendor": "Maker", "chargePointModel": "Box"}
    await station.call("BootNotification", told | (boot or {}))
    await station.idle()
    return station


def written(station: FakeStation, key: str) -> list[str]:
    """Return the values that a key was set to."""
    return [p["value"] for p in station.payloads("ChangeConfiguration") if p["key"] == key]


async def test_habit_27_a_list_of_measurands_that_is_refused_grows_one_by_one(core: Core) -> None:
    taken = {"Energy.Active.Import.Register", "Current.Import"}

    def change(payload: dict[str, Any]) -> dict[str, str]:
        fits = payload["key"] != MEASURANDS or set(payload["value"].split(",")) <= taken
        return {"status": "Accepted" if fits else "Rejected"}

    station = await set_up(core, ChangeConfiguration=change)
    assert written(station, MEASURANDS)[-1] != written(station, MEASURANDS)[0]
    accepted = [v for v in written(station, MEASURANDS) if set(v.split(",")) <= taken]
    assert accepted[-1] == "Energy.Active.Import.Register,Current.Import"


@pytest.mark.parametrize(
    "told",
    [
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered",
        "'Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered'",
        "Current.Import, Energy.Active.Import.Register ,Power.Active.Import,Current.Offered,SoC",
    ],
)
@pytest.mark.parametrize("key", [MEASURANDS, "meterValuesSampledData"])
async def test_habit_27_quotes_blanks_order_and_case_are_no_difference(
    core: Core, key: str, told: str
) -> None:
    station = await set_up(core, GetConfiguration=keys(**{key: told}))
    assert written(station, MEASURANDS) == []


@pytest.mark.parametrize(
    ("because", "is_taken"),
    [
        ("GetConfiguration without keys is refused", lambda p: bool(p.get("key"))),
        ("four keys at most (Entratek)", lambda p: 0 < len(p.get("key", [])) <= 4),
    ],
)
async def test_habit_27_a_question_for_all_keys_is_not_needed(
    core: Core, because: str, is_taken: Any
) -> None:
    def answer(payload: dict[str, Any]) -> Any:
        if not is_taken(payload):
            return Fault("NotSupported")
        return keys(**dict.fromkeys(payload["key"], "1"))

    await set_up(core, GetConfiguration=answer)
    read = await core.newest(StationConfigurationRead)
    assert {entry.key for entry in read.entries} >= {MEASURANDS, "NumberOfConnectors"}, because
    assert not read.complete


async def test_habit_27_what_is_written_is_read_again_and_a_lie_is_shown(core: Core) -> None:
    station = await set_up(core, GetConfiguration=keys(MeterValueSampleInterval="900"))
    assert written(station, "MeterValueSampleInterval") == ["10"]
    read = await core.newest(StationConfigurationRead)
    (entry,) = [e for e in read.entries if e.key == "MeterValueSampleInterval"]
    assert (entry.value, read.wanted["MeterValueSampleInterval"]) == ("900", "10")


async def test_habit_27_reboot_required_counts_as_taken(core: Core) -> None:
    station = await set_up(core, ChangeConfiguration={"status": "RebootRequired"})
    assert len(written(station, MEASURANDS)) == 1


def metered(*samples: dict[str, str], **entry: Any) -> dict[str, Any]:
    """MeterValues.req of connector 1."""
    return {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": samples, **entry}]}


ODD_VALUES: list[tuple[str, list[dict[str, str]], tuple[Any, ...]]] = [
    ("blanks", [{"value": " 16.0 ", "measurand": "Current.Import", "phase": "L1"}], (16, None)),
    ("a comma", [{"value": "16,5", "measurand": "Current.Import", "phase": "L1"}], (16.5, None)),
    ("no unit", [{"value": "3680", "measurand": "Power.Active.Import"}], (None, 3680)),
    (
        "kilo",
        [{"value": "3.68", "measurand": "Power.Active.Import", "unit": "kW"}],
        (None, 3680),
    ),
    (
        "milli",
        [{"value": "16000", "measurand": "Current.Import", "phase": "L1", "unit": "mA"}],
        (16, None),
    ),
    ("L1-N", [{"value": "16", "measurand": "Current.Import", "phase": "L1-N"}], (16, None)),
    ("no number", [{"value": "n/a", "measurand": "Current.Import", "phase": "L1"}], (None, None)),
]


@pytest.mark.parametrize(
    ("samples", "expected"), [v[1:] for v in ODD_VALUES], ids=[v[0] for v in ODD_VALUES]
)
async def test_habit_28_odd_spellings_are_read_in_si_units(
    core: Core, samples: list[dict[str, str]], expected: tuple[Any, ...]
) -> None:
    station = await core.booted()
    assert await station.call("MeterValues", metered(*samples)) == {}
    observed = await core.newest(EvseObserved)
    l1 = None if observed.current_a is None else observed.current_a.l1
    assert (l1, observed.power_w) == expected


async def test_habit_28_energy_told_per_phase_is_summed(core: Core) -> None:
    station = await core.booted()
    await station.call(
        "MeterValues", metered(*({"value": "100", "phase": p} for p in ("L1", "L2")))
    )
    assert (await core.newest(EvseObserved)).energy_wh == 200


async def test_habit_28_current_is_made_of_power_and_voltage_where_it_is_missing(
    core: Core,
) -> None:
    station = await core.booted()
    power = {"measurand": "Power.Active.Import", "phase": "L1", "value": "3500"}
    voltage = {"measurand": "Voltage", "phase": "L1", "value": "250"}
    await station.call("MeterValues", metered(power, voltage))
    told = (await core.newest(EvseObserved)).current_a
    assert told is not None
    assert told.l1 == 14


async def test_habit_28_samples_out_of_order_are_recorded_and_the_newest_steers(
    core: Core,
) -> None:
    rows: list[MeterRow] = []

    async def hear(delivery: Delivery[MeterValuesRecorded]) -> None:
        rows.extend(MeterRow(*row) for row in delivery.message.rows)

    await core.operator.listen([MeterValuesRecorded], hear)
    station = await core.booted()
    core.later(600)
    for at, amps in (("12:10:00", "16"), ("12:03:00", "6")):
        sample = {"value": amps, "measurand": "Current.Import", "phase": "L1"}
        await station.call("MeterValues", metered(sample, timestamp=f"2026-01-01T{at}Z"))
    assert [row.l1_a for row in rows] == [16, 6]
    told = (await core.newest(EvseObserved)).current_a
    assert told is not None
    assert told.l1 == 16


async def test_habit_28_without_a_timestamp_and_as_an_object_it_counts_on_arrival(
    core: Core,
) -> None:
    station = await core.booted()
    sample = {"value": "9", "measurand": "Current.Import", "phase": "L1"}
    values = {"connectorId": 1, "meterValue": {"sampledValue": sample}}
    assert await station.call("MeterValues", values) == {}
    told = (await core.newest(EvseObserved)).current_a
    assert told is not None
    assert told.l1 == 9


@pytest.mark.parametrize(
    "site", [site_of(ocpp_server=OcppServerConfig(meter_interval_s=1))], ids=["every second"]
)
@pytest.mark.parametrize(
    ("vendor", "model", "interval"),
    [("Maker", "Box", "1"), ("Easee", "Home", "30"), ("MENNEKES", "ACU", "60")],
)
async def test_habit_28_no_model_is_asked_for_values_more_often_than_it_can(
    core: Core, site: SiteConfig, vendor: str, model: str, interval: str
) -> None:
    told = {"chargePointVendor": vendor, "chargePointModel": model}
    station = await set_up(core, told, GetConfiguration=keys(NumberOfConnectors="1"))
    assert written(station, "MeterValueSampleInterval") == [interval]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "NotImplemented"},
        {"status": "Rejected"},
        Fault("NotSupported"),
        Fault("FormationViolation"),
    ],
)
async def test_habit_29_a_station_that_takes_no_trigger_is_served_all_the_same(
    core: Core, answer: Any
) -> None:
    station = await core.connect()
    station.answers["TriggerMessage"] = answer
    core.later(6)
    await station.was_called("TriggerMessage", times=2)
    await station.was_called("SetChargingProfile")
    assert [p["requestedMessage"] for p in station.payloads("TriggerMessage")] == [
        "BootNotification",
        "StatusNotification",
    ]
    assert "currentTime" in await station.call("Heartbeat", {})


@pytest.mark.parametrize("site", [site_of(evse(1), evse(2))])
async def test_habit_30_connector_0_is_the_station_and_changes_no_outlet(
    core: Core, site: SiteConfig
) -> None:
    station = await core.booted()
    status = {"errorCode": "NoError", "status": "Charging"}
    await station.call("StatusNotification", {"connectorId": 1, **status})
    await station.call(
        "StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Unavailable"}
    )
    await core.newest(EvseObserved)
    newest = {e.connector: e.state for e in core.events(EvseObserved)}
    assert newest == {1: EvseState.C, 2: None}


@pytest.mark.parametrize("status", ["SuspendedEV", "SuspendedEVSE"])
async def test_habit_30_both_kinds_of_suspended_are_a_car_that_draws_nothing(
    core: Core, status: str
) -> None:
    station = await core.booted()
    told = {"connectorId": 1, "errorCode": "NoError", "status": status}
    await station.call("StatusNotification", told)
    assert (await core.newest(EvseObserved)).state is EvseState.B


async def test_habit_30_legrands_error_code_is_shown_in_its_own_words(core: Core) -> None:
    station = await core.booted()
    told = {"connectorId": 1, "errorCode": "Error", "status": "Faulted"}
    assert await station.call("StatusNotification", told) == {}
    observed = await core.newest(EvseObserved)
    assert (observed.state, observed.fault) == (EvseState.F, "Error")


@pytest.mark.parametrize("status", ["Accepted", "Scheduled", "Rejected"])
async def test_habit_31_what_a_station_says_to_availability_is_handed_on_as_it_is(
    core: Core, status: str
) -> None:
    station = await set_up(core, ChangeAvailability={"status": status})
    text = '{"connectorId":0,"type":"Inoperative"}'
    order = CallStation(station_id="CP1", action="ChangeAvailability", payload_text=text)
    found = await core.operator.ask(order, timeout_s=5)
    assert found.payload == {"status": status}
    assert await station.was_called("ChangeAvailability") == {
        "connectorId": 0,
        "type": "Inoperative",
    }


ALL_OFF = CallStation(
    station_id="CP1",
    action="ChangeAvailability",
    payload_text='{"connectorId":0,"type":"Inoperative"}',
)
EN_PLUS = {"chargePointVendor": "EN+", "chargePointModel": "AC"}
TWO_CONNECTORS = site_of(evse(1), evse(2))
BOTH = (Station(id="CP1", protocol="ocpp"), Station(id="CP2", protocol="ocpp"))


def asked_for(station: FakeStation) -> list[int]:
    """Return the connectors that a station was to change the availability of, in turn."""
    payloads = station.payloads("ChangeAvailability")
    assert all(payload["type"] == "Inoperative" for payload in payloads)
    return [payload["connectorId"] for payload in payloads]


def refuses_0(payload: dict[str, Any]) -> dict[str, str]:
    """Answer like a station that takes connectors only."""
    return {"status": "Accepted" if payload["connectorId"] else "Rejected"}


@pytest.mark.parametrize("site", [TWO_CONNECTORS])
@pytest.mark.parametrize(
    ("answer", "asked", "because"),
    [
        ({"status": "Accepted"}, [0], "it takes them all at once"),
        ({"status": "Scheduled"}, [0], "Scheduled is success"),
        (refuses_0, [0, 1, 2], "it takes them one by one only"),
        (
            lambda p: refuses_0(p) if p["connectorId"] else Fault("NotSupported"),
            [0, 1, 2],
            "so, too",
        ),
        (None, [0], "silence is no refusal: it may be doing it"),
    ],
)
async def test_habit_31_who_refuses_connector_0_is_asked_for_each_connector(
    core: Core, answer: Any, asked: list[int], because: str
) -> None:
    station = await set_up(core, ChangeAvailability=answer)
    order = ALL_OFF.model_copy(update={"timeout_s": 0.05})
    found = await core.operator.ask(order, timeout_s=5)
    assert asked_for(station) == asked, because
    if answer is refuses_0:
        assert found.payload_text == '{"status": "Accepted"}'


@pytest.mark.parametrize("site", [TWO_CONNECTORS])
async def test_habit_31_en_plus_is_never_asked_for_connector_0_where_it_hangs(core: Core) -> None:
    def hangs_on_0(payload: dict[str, Any]) -> dict[str, str] | None:
        return {"status": "Accepted"} if payload["connectorId"] else None

    station = await set_up(core, EN_PLUS, ChangeAvailability=hangs_on_0)
    found = await core.operator.ask(ALL_OFF, timeout_s=5)
    assert found.payload == {"status": "Accepted"}
    assert asked_for(station) == [1, 2]


async def test_habit_31_connectors_that_only_the_station_knows_are_asked_for_too(
    core: Core,
) -> None:
    told = keys(NumberOfConnectors="3")
    station = await set_up(core, EN_PLUS, GetConfiguration=told)
    await core.operator.ask(ALL_OFF, timeout_s=5)
    assert asked_for(station) == [1, 2, 3]


@pytest.mark.parametrize("site", [TWO_CONNECTORS])
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("Accepted", "Accepted", "Accepted"),
        ("Scheduled", "Accepted", "Scheduled"),
        ("Accepted", "Scheduled", "Scheduled"),
        ("Rejected", "Accepted", "Rejected"),
        ("Scheduled", "Rejected", "Rejected"),
    ],
)
async def test_habit_31_of_several_connectors_the_worst_answer_is_told(
    core: Core, first: str, second: str, told: str
) -> None:
    answers = [{"status": first}, {"status": second}]
    station = await set_up(core, EN_PLUS, ChangeAvailability=answers)
    found = await core.operator.ask(ALL_OFF, timeout_s=5)
    assert (found.payload, asked_for(station)) == ({"status": told}, [1, 2])


@pytest.mark.parametrize("site", [TWO_CONNECTORS])
async def test_habit_31_who_falls_silent_is_not_asked_on(core: Core) -> None:
    station = await set_up(core, EN_PLUS, ChangeAvailability=None)
    order = ALL_OFF.model_copy(update={"timeout_s": 0.05})
    found = await core.operator.ask(order, timeout_s=5)
    assert (found.outcome, asked_for(station)) == (CallResult.TIMEOUT, [1])


async def test_habit_31_without_any_connector_en_plus_cannot_be_asked(core: Core) -> None:
    station = await set_up(core, EN_PLUS)
    core.registry.site_changed(site_of(evse(station="CP2")).model_copy(update={"stations": BOTH}))
    found = await core.operator.ask(ALL_OFF, timeout_s=5)
    assert (found.payload, asked_for(station)) == ({"status": "Rejected"}, [])


async def test_habit_31_one_connector_is_asked_for_as_ordered(core: Core) -> None:
    station = await set_up(core, EN_PLUS, ChangeAvailability={"status": "Rejected"})
    text = '{"connectorId":2,"type":"Inoperative"}'
    found = await core.operator.ask(ALL_OFF.model_copy(update={"payload_text": text}), timeout_s=5)
    assert (found.payload, asked_for(station)) == ({"status": "Rejected"}, [2])


async def test_habit_31_the_server_never_makes_a_station_unavailable_by_itself(
    core: Core,
) -> None:
    """EN+ hangs on connector 0. Nothing that we do by ourselves needs ChangeAvailability."""
    station = await set_up(core, {"chargePointVendor": "EN+", "chargePointModel": "AC"})
    core.registry.site_changed(site_of(evse(enabled=False), revision=2))
    await station.idle()
    core.registry.site_changed(site_of(revision=3))
    await station.idle()
    assert station.payloads("ChangeAvailability") == []
