"""Compiling a site, and what load management does not know."""

import re
from pathlib import Path

import pytest

import loadmgr
from loadmgr.domain.site_model import compile_site
from shared.contracts.charging import ReasonCode
from shared.contracts.site import SiteConfig
from shared.errors import ConfigError
from tests.unit.loadmgr.test_scenarios import site_of


def test_it_speaks_the_language_of_no_station() -> None:
    package = Path(loadmgr.__file__).parent
    foreign = re.compile("ocpp|modbus|register", re.IGNORECASE)
    secrets = package / "domain" / "public_site.py"  # names the secrets of others, to drop them
    sources = sorted(set(package.rglob("*.py")) - {secrets})
    assert len(sources) > 10
    assert [path.name for path in sources if foreign.search(path.read_text())] == []


def test_rotation_moves_a_line_to_its_grid_phase() -> None:
    model = compile_site(
        site_of(
            {
                "circuits": [{"id": "main", "limit_a": 20}],
                "evses": {"a": {"phases": 1, "rotation": ["L2", "L3", "L1"]}},
            }
        )
    )
    evse = model.evses[0]
    assert evse.usage_by_lines[evse.all_lines] == (0.0, 1.0, 0.0)
    assert evse.most_on_grid((16.0, 1.0, 2.0)) == (2.0, 16.0, 1.0)


def test_unknown_rotation_counts_most_as_load_and_least_as_relief() -> None:
    model = compile_site(
        site_of({"circuits": [{"id": "main", "limit_a": 20}], "evses": {"a": {"rotation": None}}})
    )
    evse = model.evses[0]
    assert evse.most_on_grid((16.0, 0.0, 3.0)) == (16.0, 16.0, 16.0)
    assert evse.least_on_grid((16.0, 0.0, 3.0)) == (0.0, 0.0, 0.0)
    assert evse.usage_by_lines[0] == (0.0, 0.0, 0.0)


def test_a_row_names_its_circuit_and_phase() -> None:
    circuits = [
        {"id": "uv1", "parent": "main", "limit_a": 20},
        {"id": "main", "limit_a": 20},
    ]
    model = compile_site(site_of({"circuits": circuits, "evses": {}}))
    assert [c.id for c in model.circuits] == ["main", "uv1"]
    assert model.circuit_index("uv1") == 1
    reason = model.rows.reason(ReasonCode.CIRCUIT, 4)
    assert (reason.circuit, reason.phase) == ("uv1", "L2")


@pytest.mark.parametrize(
    ("circuits", "evse", "says"),
    [
        ([{"id": "a", "parent": "b", "limit_a": 1}], {}, "correct its parent"),
        ([{"id": "a", "limit_a": 1}], {"circuit": "b"}, "circuit b, which does not exist"),
        ([{"id": "a", "limit_a": 1}], {"station": "none"}, "station none, which does not exist"),
    ],
)
def test_a_reference_of_an_evse_that_leads_nowhere_is_refused(
    circuits: list[dict[str, object]], evse: dict[str, str], says: str
) -> None:
    site = SiteConfig.model_validate(
        {
            "circuits": circuits,
            "stations": [{"id": "st", "protocol": "ocpp"}],
            "evses": [{"id": "e", "station": "st", "circuit": "a"} | evse],
        }
    )
    with pytest.raises(ConfigError, match=says):
        compile_site(site)


def test_a_meter_of_no_circuit_is_refused() -> None:
    meter = {"id": "m", "circuit": "b", "modbus": {"template": "any", "host": "meter"}}
    site = SiteConfig.model_validate({"circuits": [{"id": "a", "limit_a": 1}], "meters": [meter]})
    with pytest.raises(ConfigError, match="m names circuit b, which does not exist"):
        compile_site(site)
