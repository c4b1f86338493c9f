import pytest

from modbus_bridge.domain.decode import writable
from modbus_bridge.domain.model import resolve
from modbus_bridge.templates import known_templates, load_template, parse_template
from shared.errors import ConfigError
from tests.unit.modbus_bridge.conftest import CHARGER


@pytest.mark.parametrize("template_id", known_templates())
def test_shipped_template_loads(template_id: str) -> None:
    assert load_template(template_id).id == template_id


@pytest.mark.parametrize("template_id", known_templates())
def test_largest_limit_of_a_shipped_template_fits_its_register(template_id: str) -> None:
    for point in resolve(load_template(template_id), 1).points.values():
        if point.write_fc is not None and point.max is not None:
            assert writable(point, point.max) == pytest.approx(point.max)


def test_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'wallbox-x'; known are cfos_power_brain, eastron"):
        load_template("wallbox-x")


@pytest.mark.parametrize("name", ["../../secrets", "cfos_power_brain.yaml", ""])
def test_template_id_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no Modbus template"):
        load_template(name)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "Modbus template box"),
        ("template: 2", "Modbus template box"),
        ("just text", "Modbus template box"),
        (CHARGER.replace("id: box", "id: bax"), "calls itself bax"),
    ],
)
def test_broken_template_is_a_configuration_error(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_template(text, name="box")


def test_power_brain_is_read_in_two_requests_a_cycle() -> None:
    from modbus_bridge.domain.blocks import plan_blocks
    from modbus_bridge.domain.template import PollGroup

    transport = load_template("cfos_power_brain").transport
    plan = plan_blocks(
        load_template("cfos_power_brain").points,
        max_read=transport.max_read,
        max_gap=transport.max_gap,
    )
    assert len(plan[PollGroup.FAST]) == 2


@pytest.mark.parametrize(
    "point", ["type: u16, scale: 4", "type: u16, min: 2", "type: u16, max: 0"], ids=str
)
def test_a_phase_switch_whose_register_cannot_hold_its_values_is_refused(point: str) -> None:
    switch = "  phases: {write: select, one: 1, three: 0}\n"
    text = CHARGER.replace("confidence:", switch + "confidence:")
    good = text.replace("points:\n", "points:\n  select: {addr: 50, write_fc: 6}\n")
    assert parse_template(good, name="box").control is not None
    with pytest.raises(ConfigError, match="select cannot hold"):
        parse_template(good.replace("write_fc: 6}\n", f"write_fc: 6, {point}}}\n", 1), name="box")


def test_a_phase_switch_beyond_its_register_is_refused() -> None:
    switch = "  phases: {write: enable, one: 70000, three: 0}\n"
    with pytest.raises(ConfigError, match="enable cannot hold 70000"):
        parse_template(CHARGER.replace("confidence:", switch + "confidence:"), name="box")
