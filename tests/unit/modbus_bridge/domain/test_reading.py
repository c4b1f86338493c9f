import pytest

from modbus_bridge.domain.decode import Value
from modbus_bridge.domain.reading import amps, read_meter, read_outlet
from modbus_bridge.templates import load_template
from shared.contracts.evse import EvseState
from shared.units import PhaseAmps
from tests.unit.modbus_bridge.conftest import Build

BRAIN = load_template("cfos_power_brain")


def test_outlet_in_the_words_of_the_bus() -> None:
    values: dict[str, Value] = {
        "pilot": 2.0,
        "current": (16.0, 15.9, 0.0),
        "power_total": 7_300.0,
        "energy_import_total": 12_345.0,
        "current_offered": 16.0,
        "current_limit": 20.0,
        "enable": True,
        "rfid": "04A2",
        "rfid_count": 3.0,
    }
    seen = read_outlet(BRAIN, values)
    assert seen.state is EvseState.C
    assert seen.current_a == PhaseAmps(l1=16.0, l2=15.9, l3=0.0)
    assert (seen.power_w, seen.energy_wh, seen.offered_a) == (7_300, 12_345, 16)
    assert (seen.token, seen.token_seen) == ("04A2", 3)


def test_nothing_read_is_nothing_known() -> None:
    seen = read_outlet(BRAIN, {})
    assert (seen.state, seen.current_a, seen.offered_a, seen.token_seen) == (None,) * 4


def test_paused_box_offers_nothing_whatever_its_limit_says() -> None:
    values: dict[str, Value] = {"enable": False, "current_limit": 16.0, "current_offered": 16.0}
    assert read_outlet(BRAIN, values).offered_a == 0.0


def test_box_that_does_not_say_what_it_offers_offers_its_limit(build: Build) -> None:
    values: dict[str, Value] = {"enable": True, "current_limit": 13.0}
    assert read_outlet(build(), values).offered_a == 13.0
    by_zero = build(control={"limit": "current_limit", "zero_pauses": True})
    assert read_outlet(by_zero, values).offered_a == 13.0


def test_meter_template_offers_nothing() -> None:
    assert read_outlet(load_template("eastron_sdm630"), {}).offered_a is None


@pytest.mark.parametrize(
    ("value", "current"),
    [
        ((1.0, 2.0, 3.0), PhaseAmps(l1=1, l2=2, l3=3)),
        ((1.0, None, 3.0), PhaseAmps(l1=1, l3=3)),
        ((None, None, None), None),
        (4.0, PhaseAmps(l1=4)),
        ("text", None),
        (None, None),
    ],
)
def test_current_per_phase(value: Value, current: PhaseAmps | None) -> None:
    assert amps(value) == current


def test_meter_without_a_value_knows_no_current() -> None:
    assert read_meter({}).current_a == PhaseAmps()
