"""What a station is set to, beside what it is to be set to."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.domain.station_configuration import (
    MASK,
    Drift,
    drift,
    ocpp_text,
    shown_entries,
    shown_wanted,
)
from api.live_configurations import LiveConfigurations
from shared.contracts.site import SiteConfig, Station
from shared.contracts.station import (
    ConfigurationEntry,
    LocalListChanged,
    StationConfigurationRead,
)

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def read(entries: dict[str, str | None], wanted: dict[str, str], **values: Any) -> Any:
    told: dict[str, Any] = {
        "station_id": "CP1",
        "epoch": 1,
        "read_at": NOON,
        "entries": tuple(ConfigurationEntry(key=key, value=v) for key, v in entries.items()),
        "wanted": wanted,
    }
    return StationConfigurationRead(**(told | values))


@pytest.mark.parametrize(
    ("actual", "wanted"),
    [
        ("60", "60"),
        ("60.0", "60"),
        ("TRUE", "true"),
        ('"Current.Import,Voltage"', "Current.Import, Voltage"),
        ("", ""),
    ],
)
def test_the_same_in_other_words_is_no_drift(actual: str, wanted: str) -> None:
    assert drift(read({"KEY": actual}, {"key": wanted})) == []


@pytest.mark.parametrize(("actual", "wanted"), [("30", "60"), ("60.5", "60"), ("", "true")])
def test_another_value_is_drift(actual: str, wanted: str) -> None:
    assert drift(read({"Key": actual}, {"key": wanted})) == [
        Drift(key="key", wanted=wanted, actual=actual)
    ]


def test_a_missing_key_is_drift_where_the_station_tells_all_of_them() -> None:
    missing = [Drift(key="key", wanted="1", actual=None)]
    assert drift(read({}, {"key": "1"})) == missing
    assert drift(read({}, {"key": "1"}, complete=False)) == []
    assert drift(read({}, {"key": "1"}, complete=False, unknown=("KEY",))) == missing


def test_what_can_only_be_written_is_not_judged() -> None:
    assert drift(read({"key": None}, {"key": "1"})) == []


def test_a_secret_is_never_shown() -> None:
    entries = (ConfigurationEntry(key="authorizationKEY", value="s3cret"),)
    assert shown_entries(entries)[0].value == MASK
    assert shown_wanted({"AuthorizationKey": "s3cret"}) == {"AuthorizationKey": MASK}
    assert drift(read({"AuthorizationKey": "a"}, {"AuthorizationKey": "b"})) == []
    assert drift(read({}, {"AuthorizationKey": "b"})) == []


def test_entries_are_shown_by_key() -> None:
    entries = tuple(ConfigurationEntry(key=key) for key in ("b", "A", "c"))
    assert [entry.key for entry in shown_entries(entries)] == ["A", "b", "c"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (60, "60"), (-1, "-1"), (2.0, "2"), (2.5, "2.5")],
)
def test_values_travel_as_text(value: str | bool | float, text: str) -> None:
    assert ocpp_text(value) == text


def live() -> LiveConfigurations:
    found = LiveConfigurations()
    found.use_site(SiteConfig(stations=(Station(id="CP1", protocol="ocpp"),)))
    return found


def test_an_older_connection_tells_no_news() -> None:
    view = live()
    view.configuration_read(read({"a": "2"}, {}, epoch=2))
    view.configuration_read(read({"a": "1"}, {}, epoch=1))
    known = view.configuration("cp1")
    assert known is not None
    assert known.entries[0].value == "2"


def test_stations_that_are_not_configured_are_not_remembered() -> None:
    view = live()
    view.configuration_read(read({}, {}, station_id="other"))
    view.local_list_changed(LocalListChanged(station_id="CP1", version=1, changed_at=NOON))
    assert view.configuration("other") is None
    view.use_site(SiteConfig())
    assert view.local_list("CP1") is None
