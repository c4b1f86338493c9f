"""What a site is checked against is what the OCPP server and the bridge have files of."""

import pytest

from modbus_bridge.templates import known_templates, load_template
from ocpp_server.model_files import load_models
from shared.station_models import (
    CHARGER_TEMPLATES,
    FAULTS_AT_ZERO,
    IGNORES_PHASES,
    METER_TEMPLATES,
    STATION_MODELS,
    SWITCHING_TEMPLATES,
)


def test_the_names_are_those_of_the_model_files() -> None:
    assert list(STATION_MODELS) == sorted(load_models())


def test_what_faults_at_0_a_is_what_its_file_says() -> None:
    assert {n for n, model in load_models().items() if model.never_zero} == FAULTS_AT_ZERO


def test_what_ignores_phases_is_what_its_file_says() -> None:
    unable = {name for name, model in load_models().items() if not model.can_switch_phases("true")}
    assert unable == IGNORES_PHASES


@pytest.mark.parametrize(
    ("kind", "names"), [("charger", CHARGER_TEMPLATES), ("meter", METER_TEMPLATES)]
)
def test_the_templates_are_those_of_the_template_files(kind: str, names: tuple[str, ...]) -> None:
    assert [name for name in known_templates() if load_template(name).kind == kind] == list(names)


def test_what_switches_phases_by_modbus_is_what_its_template_says() -> None:
    controls = {name: load_template(name).control for name in known_templates()}
    able = {name for name, control in controls.items() if control and control.phases}
    assert able == SWITCHING_TEMPLATES
