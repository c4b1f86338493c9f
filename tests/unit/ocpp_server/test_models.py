"""Models: who is recognised as what, and that the shipped files say what they may."""

import re
from pathlib import Path

import pytest

from ocpp_server import model_files
from ocpp_server.domain.model import Identity, Match, Model, recognise
from ocpp_server.domain.profile_forms import forms, rate_units
from ocpp_server.model_files import load_models, parse_model
from shared.contracts.site import Station
from shared.errors import ConfigError

FILES = sorted((Path(model_files.__file__).parent / "models").glob("*.yaml"))


@pytest.mark.parametrize(
    ("vendor", "model", "name"),
    [
        ("ABB", "CDT_TACW22::NET_WIFI", "abb"),
        ("EV-BOX", "Elvi 11kW", "evbox-elvi"),
        ("ev-box", "ELVI", "evbox-elvi"),
        ("EV-BOX", "BusinessLine", None),
        ("Wall Box Chargers", "PLP1-0-2-3", "wallbox"),
        ("Mennekes", "Amtron ACU 22", "mennekes-acu"),
        ("Mennekes", "Amtron 4You", "mennekes"),
        ("go-e GmbH", "V3", "go-e"),
        ("Huawei", "SmartCharger", "huawei"),
        (" Growatt ", "THOR", "growatt"),
        ("Maker", "Box", None),
        ("", "", None),
    ],
)
def test_stations_are_recognised(vendor: str, model: str, name: str | None) -> None:
    assert recognise(load_models(), Identity(vendor, model, "1.0")) == name


def test_the_more_precise_match_wins() -> None:
    models = {
        "a": Model(match=(Match(vendor="x", firmware="2.*"),)),
        "z": Model(match=(Match(vendor="x*"),)),
    }
    assert recognise(models, Identity("X", "any", "2.1")) == "a"
    assert recognise(models, Identity("X", "any", "3.1")) == "z"


@pytest.mark.parametrize(
    ("pattern", "told", "fits"),
    [
        ("a*b*c", "a1b2c", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("*elvi*", "The ELVI", True),
        ("a.c", "abc", False),
        ("[x]", "[X]", True),
        ("*", "", True),
        ("a", "ab", False),
        ("a*", "ba", False),
    ],
)
def test_patterns(pattern: str, told: str, fits: bool) -> None:
    assert Match(model=pattern).fits(Identity("v", told, "f")) is fits


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_shipped_file_is_valid_and_names_its_source(file: Path) -> None:
    text = file.read_text("utf-8")
    model = parse_model(text, name=file.name)
    assert re.search(r"^#.*(#\d+|field notes|cFos)", text, re.MULTILINE), "a fact has a source"
    assert model.match, "the file is found by itself"
    assert forms(model, max_level=8, units=rate_units(None), has_one_connector=True)
    assert Station(id="CP1", protocol="ocpp", model=file.stem).model == file.stem


def test_every_file_is_loaded() -> None:
    assert set(load_models()) == {file.stem for file in FILES}
    assert len(FILES) >= 14


@pytest.mark.parametrize("text", ["never_zero: maybe", "no_such_habit: 1", "match: [", "5"])
def test_a_wrong_file_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"model file x\.yaml"):
        parse_model(text, name="x.yaml")
