"""What a station is set to: read, compared, written, read again (field notes 5.4, 27)."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from ocpp_server import configuration_reader, habits, profile_sender
from ocpp_server.answers import Fault
from ocpp_server.domain.configuration import (
    ListGrowth,
    differing,
    entries_of,
    find,
    group_size,
    groups,
    has_all,
    is_same,
    merged,
    number_in,
    unknown_of,
    wishes,
)
from ocpp_server.domain.jitter import spread
from ocpp_server.domain.model import Model
from shared.contracts.message import ActionOutcome
from shared.contracts.site import Mode, OcppServerConfig, SiteConfig, Station
from shared.contracts.station import (
    ConfigurationEntry,
    ReadConfiguration,
    StationConfigurationRead,
)
from tests.ocpp_core import Core, FakeStation, site_of

GET, CHANGE = "GetConfiguration", "ChangeConfiguration"
ACCEPTED, REJECTED = {"status": "Accepted"}, {"status": "Rejected"}
MEASURANDS = "MeterValuesSampledData"
ALL = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered"


def entry(key: str, value: str | None, *, readonly: bool = False) -> ConfigurationEntry:
    return ConfigurationEntry(key=key, value=value, readonly=readonly)


class TestReading:
    """Answers of stations."""

    def test_entries_are_read_as_far_as_they_are_entries(self) -> None:
        payload = {
            "configurationKey": [
                {"key": "A", "value": "1", "readonly": True},
                {"key": " B ", "value": 2, "readonly": False},
                {"key": "C", "readonly": False},
                {"key": "D", "value": True},
                {"value": "nobody's"},
                {"key": ""},
                "odd",
                None,
            ]
        }
        assert entries_of(payload) == (
            entry("A", "1", readonly=True),
            entry("B", "2"),
            entry("C", None),
            entry("D", "true"),
        )

    @pytest.mark.parametrize(
        "odd", [None, {}, {"configurationKey": None}, {"configurationKey": {"key": "A"}}]
    )
    def test_what_is_no_answer_has_no_entries(self, odd: Any) -> None:
        assert entries_of(odd) == ()

    def test_unknown_keys(self) -> None:
        assert unknown_of({"unknownKey": ["A", 5]}) == ("A",)
        assert unknown_of({"unknownKey": None}) == unknown_of(None) == ()

    def test_newer_answers_win_whatever_the_case_of_their_keys(self) -> None:
        known = (entry("HeartbeatInterval", "1"), entry("Other", "x"))
        found = merged(known, (entry("heartbeatinterval", "2"),))
        assert found == (entry("heartbeatinterval", "2"), entry("Other", "x"))
        assert find(found, "HEARTBEATINTERVAL") == entry("heartbeatinterval", "2")
        assert find(found, "None") is None

    @pytest.mark.parametrize(
        ("told", "number"),
        [
            ("8", 8),
            (" '8' ", 8),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("²", None),
            (None, None),
        ],
    )
    def test_numbers(self, told: str | None, number: int | None) -> None:
        assert number_in({"maxKEYS": told}, "MaxKeys") == number

    def test_questions_are_as_long_as_the_station_takes(self) -> None:
        assert groups(("a", "b", "c"), 2) == (("a", "b"), ("c",))
        assert group_size((), Model()) == 4
        assert group_size((entry("GetConfigurationMaxKeys", "20"),), Model()) == 20
        assert group_size((entry("GetConfigurationMaxKeys", "0"),), Model()) == 4
        told = (entry("GetConfigurationMaxKeys", "20"),)
        assert group_size(told, Model(keys_per_question=2)) == 2


class TestComparing:
    """Drift."""

    @pytest.mark.parametrize(
        ("told", "wanted", "same"),
        [
            ("10", "10", True),
            (" 10 ", "10", True),
            ('"A,B"', "A,B", True),
            ("'A', B", "a,b", True),
            ("TRUE", "true", True),
            ("10", "11", False),
            ("A,B", "B,A", False),
            ("", "1", False),
            (None, "", False),
        ],
    )
    def test_values(self, told: str | None, wanted: str, same: bool) -> None:
        assert is_same(told, wanted) is same

    def test_a_list_may_have_more(self) -> None:
        assert has_all('"B, C,a"', ["A", "b"])
        assert not has_all("A", ["A", "B"])
        assert not has_all(None, [])

    def test_drift_is_what_is_not_fulfilled(self) -> None:
        wanted = {"A": "1", "B": "2", "C": "3", MEASURANDS: "x,y"}
        found = (entry("a", "1"), entry("B", "9"), entry(MEASURANDS, "y,z,x"))
        assert differing(wanted, found) == {"B": "2", "C": "3"}

    def test_wishes_of_the_server(self) -> None:
        found = wishes(Model(), None, OcppServerConfig(meter_interval_s=10), heartbeat_s=290)
        assert found == {
            MEASURANDS: ALL,
            "MeterValueSampleInterval": "10",
            "HeartbeatInterval": "290",
        }

    def test_wishes_of_model_and_operator(self) -> None:
        model = Model(
            minimum_meter_interval_s=30,
            measurands=("Current.Import",),
            configuration={"StopTxnSampledData": "x", "Both": "model"},
        )
        station = Station(
            id="CP1",
            protocol="ocpp",
            local_list=True,
            configuration={"heartbeatInterval": "60", "Both": "operator"},
        )
        server = OcppServerConfig(meter_interval_s=10, cpo_name="Garage Köln")
        assert wishes(model, station, server, heartbeat_s=290) == {
            MEASURANDS: "Current.Import",
            "MeterValueSampleInterval": "30",
            "CpoName": "Garage Köln",
            "LocalAuthListEnabled": "true",
            "StopTxnSampledData": "x",
            "heartbeatInterval": "60",
            "Both": "operator",
        }


def grown(wanted: str, is_taken: Callable[[str], bool]) -> list[str]:
    growth, tried = ListGrowth(wanted), []
    while (attempt := growth.attempt) is not None:
        tried.append(attempt)
        growth.answered(is_taken=is_taken(attempt))
    return tried


def test_a_list_grows_item_by_item() -> None:
    assert grown("a, b,c", lambda value: "b" not in value) == ["a", "a,b", "a,c"]
    assert grown("a,b", lambda _: False) == ["a", "b"]
    assert grown("a,b,c", lambda value: value.count(",") < 1) == ["a", "a,b", "a,c"]
    assert grown("", lambda _: True) == []


class Settings:
    """The keys of a fake station."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.readonly: set[str] = set()
        self.refused: set[str] = set()
        self.most = 1_000
        self.answers_all = True
        self.change_status = "Accepted"

    def get(self, call: dict[str, Any]) -> Any:
        asked = call.get("key")
        if asked is None:
            if not self.answers_all:
                return Fault("NotSupported")
            asked = list(self.values)
        elif len(asked) > self.most:
            return Fault("PropertyConstraintViolation")
        found = [key for key in asked if key in self.values]
        return {
            "configurationKey": [
                {"key": key, "value": self.values[key], "readonly": key in self.readonly}
                for key in found
            ],
            "unknownKey": [key for key in asked if key not in self.values],
        }

    def change(self, call: dict[str, Any]) -> dict[str, str]:
        if call["key"] in self.refused or call["key"] in self.readonly:
            return REJECTED
        if call["key"] not in self.values:
            return {"status": "NotSupported"}
        self.values[call["key"]] = call["value"]
        return {"status": self.change_status}


async def set_up(
    core: Core, settings: Settings, *, boot: dict[str, str] | None = None
) -> FakeStation:
    station = await core.connect()
    station.answers[GET] = settings.get
    station.answers[CHANGE] = settings.change
    await station.call(
        "BootNotification", boot or {"chargePointVendor": "Maker", "chargePointModel": "Box"}
    )
    await station.idle()
    return station


def usual(**more: str) -> Settings:
    values = {"HeartbeatInterval": "7", "MeterValueSampleInterval": "7", MEASURANDS: "x"}
    return Settings(**(values | more))


def written(station: FakeStation) -> dict[str, str]:
    return {call["key"]: call["value"] for call in station.payloads(CHANGE)}


async def last(core: Core) -> StationConfigurationRead:
    return await core.newest(StationConfigurationRead)


async def test_it_is_read_after_boot_and_told(core: Core) -> None:
    await set_up(core, usual(Vendor="1"))
    await last(core)
    first = core.events(StationConfigurationRead)[0]
    assert first.complete
    assert find(first.entries, "Vendor") == entry("Vendor", "1")
    assert find(first.entries, "HeartbeatInterval") == entry("HeartbeatInterval", "7")
    assert first.wanted["MeterValueSampleInterval"] == "10"
    assert (first.station_id, first.model, first.epoch) == ("CP1", "", 1)


async def test_what_differs_is_written_and_read_again(core: Core) -> None:
    station = await set_up(core, usual())
    wanted = {
        MEASURANDS: ALL,
        "MeterValueSampleInterval": "10",
        "HeartbeatInterval": str(spread(300, "CP1")),
    }
    assert written(station) == wanted
    told = await last(core)
    assert {e.key: e.value for e in told.entries} == wanted
    assert told.complete
    assert differing(told.wanted, told.entries) == {}


async def test_what_is_right_is_not_written(core: Core) -> None:
    settings = Settings(
        HeartbeatInterval=str(spread(300, "CP1")),
        MeterValueSampleInterval=" 10",
        MeterValuesSampledData=f'"{ALL},Voltage"',
    )
    station = await set_up(core, settings)
    assert station.payloads(CHANGE) == []
    told = await last(core)
    assert told.wanted[MEASURANDS] == f'"{ALL},Voltage"', "more is no drift"


async def test_a_station_that_lies_is_shown_to_drift(core: Core) -> None:
    settings = usual()
    station = await core.connect()
    station.answers[GET] = settings.get
    station.answers[CHANGE] = ACCEPTED
    await station.boot()
    await station.idle()
    told = await last(core)
    assert "HeartbeatInterval" in differing(told.wanted, told.entries)
    assert len(station.payloads(CHANGE)) == 3, "and it is not written again and again"


async def test_what_can_only_be_read_is_complained_of_once(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    settings = usual()
    settings.readonly = {"HeartbeatInterval"}
    settings.refused = {"MeterValueSampleInterval"}
    with caplog.at_level(logging.INFO, "ocpp_server.setup"):
        station = await set_up(core, settings)
        await station.boot()
        await station.idle()
    assert "HeartbeatInterval" not in written(station)
    complaints = [r.getMessage() for r in caplog.records if "does not take" in r.getMessage()]
    assert sorted(complaints) == [
        "CP1 does not take HeartbeatInterval: it can only be read",
        "CP1 does not take MeterValueSampleInterval: Rejected",
    ]


async def test_a_restart_that_is_needed_is_told(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    settings = usual()
    settings.change_status = "RebootRequired"
    with caplog.at_level(logging.INFO, "ocpp_server.setup"):
        await set_up(core, settings)
    assert "heeds HeartbeatInterval after its next restart" in caplog.text


async def test_a_station_that_refuses_the_question_for_all_is_asked_key_by_key(core: Core) -> None:
    settings = usual(GetConfigurationMaxKeys="5")
    settings.answers_all, settings.most = False, 5
    station = await set_up(core, settings)
    told = await last(core)
    assert not told.complete
    assert find(told.entries, "HeartbeatInterval") is not None
    assert "SupportedFeatureProfiles" in told.unknown
    asked = [call["key"] for call in station.payloads(GET) if "key" in call][1:]
    assert len(asked[0]) == 4, "before it has told how many it takes"
    assert max(len(keys) for keys in asked) == 5


async def test_keys_that_it_does_not_know_are_not_written(core: Core) -> None:
    settings = usual()
    del settings.values["HeartbeatInterval"]
    settings.answers_all = False
    station = await set_up(core, settings)
    assert "HeartbeatInterval" not in written(station)
    assert "MeterValueSampleInterval" in written(station)


async def test_entratek_is_never_asked_for_all(core: Core) -> None:
    settings = usual()
    settings.most = 4
    station = await set_up(
        core, settings, boot={"chargePointVendor": "Entratek", "chargePointModel": "Box"}
    )
    assert all(len(call["key"]) <= 4 for call in station.payloads(GET))
    assert (await last(core)).model == "entratek"


async def test_a_station_that_never_answers_is_served_all_the_same(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration_reader, "TIMEOUT_S", 0.02)
    monkeypatch.setattr(profile_sender, "KEYS_TIMEOUT_S", 0.02)
    station = await core.connect()
    station.answers[GET] = None
    await station.boot()
    told = await last(core)
    assert (told.complete, told.entries) == (False, ())
    assert len(station.payloads(GET)) == 3, "limits, everything, some; then no more"
    await station.was_called("SetChargingProfile")
    await station.was_called(CHANGE, times=3)


async def test_a_station_that_answers_with_nothing_is_not_asked_on(core: Core) -> None:
    station = await core.connect()
    station.answers[GET] = {"configurationKey": []}
    await station.boot()
    told = await last(core)
    assert not told.complete
    assert len(station.payloads(GET)) == 3, "limits, everything, some; then no more"


async def test_a_model_that_never_answers_is_not_asked(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = {"mute": Model(answers_configuration=False)}
    monkeypatch.setattr(habits, "load_models", lambda: mute)
    named = Station(id="CP1", protocol="ocpp", model="mute")
    core.registry.site_changed(site_of(revision=2, stations=(named,)))
    station = await set_up(core, usual())
    assert station.payloads(GET) == []
    told = await last(core)
    assert (told.complete, told.model) == (False, "mute")
    await station.was_called("SetChargingProfile")


async def test_a_model_that_nobody_knows_is_told_once(
    core: Core, caplog: pytest.LogCaptureFixture
) -> None:
    named = Station(id="CP1", protocol="ocpp", model="no-such-box")
    core.registry.site_changed(site_of(revision=2, stations=(named,)))
    await set_up(core, usual())
    assert (await last(core)).model == ""
    told = [r for r in caplog.records if "no such model file" in r.getMessage()]
    assert len(told) == 1


async def test_it_is_read_again_when_the_operator_asks(core: Core) -> None:
    settings = usual()
    station = await set_up(core, settings)
    settings.values["Vendor"] = "new"
    asked = ReadConfiguration(station_id="CP1")
    assert (await core.operator.ask(asked, timeout_s=5)) == ActionOutcome(
        done=True, detail="it is being read"
    )
    await core.event(StationConfigurationRead, lambda e: find(e.entries, "Vendor") is not None)
    assert len(station.payloads(CHANGE)) == 3, "nothing differs"


async def test_drift_is_mended_when_it_is_seen(core: Core) -> None:
    settings = usual()
    station = await set_up(core, settings)
    await station.boot()
    await station.idle()
    assert len(station.payloads(CHANGE)) == 3
    settings.values["HeartbeatInterval"] = "1"
    await station.boot()
    await station.idle()
    assert settings.values["HeartbeatInterval"] == str(spread(300, "CP1"))


async def test_it_is_told_again_to_those_who_missed_it(core: Core) -> None:
    await set_up(core, usual())
    before = await last(core)
    count = len(core.events(StationConfigurationRead))
    core.registry.announce_all()
    await core.event(
        StationConfigurationRead,
        lambda _: len(core.events(StationConfigurationRead)) == count + 1,
    )
    assert await last(core) == before


async def test_a_changed_wish_is_written(core: Core) -> None:
    station = await set_up(core, usual(CpoName=""))
    server = OcppServerConfig(cpo_name="Garage")
    core.registry.site_changed(site_of(revision=2, ocpp_server=server))
    await station.idle()
    assert written(station)["CpoName"] == "Garage"
    assert (await last(core)).wanted["CpoName"] == "Garage"


class TestMonitorMode:
    """S1: reading is no intervention, writing is."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(mode=Mode.MONITOR)

    async def test_drift_is_shown_and_nothing_written(self, core: Core) -> None:
        station = await set_up(core, usual())
        told = await last(core)
        assert "HeartbeatInterval" in differing(told.wanted, told.entries)
        assert station.payloads(CHANGE) == []
