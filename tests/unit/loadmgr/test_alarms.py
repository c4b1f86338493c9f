"""What is told to the operator, and when."""

from loadmgr.domain.alarms import Alarm, alarms_of, changes
from shared.contracts.alarm import AlarmChanged, Severity
from tests.unit.loadmgr.garage import START, Car, Garage
from tests.unit.loadmgr.test_scenarios import site_of

SITE = {
    "circuits": [{"id": "main", "limit_a": 40}],
    "meters": {"grid": {"circuit": "main"}},
    "evses": {"a": {}},
}
BAD = Alarm(Severity.WARNING, "bad")


def told(changed: list[AlarmChanged]) -> dict[str, bool]:
    return {alarm.alarm_id: alarm.active for alarm in changed}


def test_a_silent_meter_is_an_alarm_and_a_quiet_box_is_none() -> None:
    garage = Garage(site_of(SITE))
    garage.silent_meters = {"grid"}
    garage.run(2)
    assert garage.decision is not None
    alarms = alarms_of(garage.decision)
    assert alarms["evse-disobeys/a"] is None
    silent = alarms["meter-silent/grid"]
    assert silent is not None
    assert silent.severity is Severity.CRITICAL


def test_a_box_that_draws_more_than_allowed_is_an_alarm() -> None:
    garage = Garage(site_of(SITE))
    garage.run(5)
    garage.boxes["a"].car = Car()
    garage.run(20)
    garage.boxes["a"].manner = "ignores"
    garage.load(site_of(SITE | {"circuits": [{"id": "main", "limit_a": 16}]}))
    garage.run(30)
    assert garage.decision is not None
    disobeys = alarms_of(garage.decision)["evse-disobeys/a"]
    assert disobeys is not None
    assert disobeys.severity is Severity.WARNING


def test_a_session_that_will_not_finish_is_told_until_its_plan_can_be_kept() -> None:
    garage = Garage(site_of(SITE))
    garage.boxes["a"].car = Car()
    garage.run(5)
    late = "session-will-not-finish/a"
    for kwh, is_late in ((60, True), (10, False)):
        garage.plan("a", {"departs_at": 1, "kwh": kwh})
        garage.run(2)
        assert garage.decision is not None
        assert (alarms_of(garage.decision)[late] is not None) is is_late


def test_only_changes_are_told() -> None:
    assert told(changes({"x": BAD, "y": None}, {"x": BAD, "y": None}, START)) == {}
    assert told(changes({"x": None}, {"x": BAD}, START)) == {"x": True}
    assert told(changes({"x": BAD}, {"x": None}, START)) == {"x": False}


def test_after_a_takeover_everything_is_told_once_so_that_no_old_alarm_stays() -> None:
    assert told(changes({}, {"x": BAD, "y": None}, START)) == {"x": True, "y": False}


def test_the_alarm_of_what_is_no_longer_configured_ends() -> None:
    assert told(changes({"x": BAD, "y": None}, {}, START)) == {"x": False}
