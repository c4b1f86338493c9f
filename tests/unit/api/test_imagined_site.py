"""Changes to a site that is only asked about."""

from typing import Any

import pytest

from api.domain.imagined_site import removal_problems, with_changes

STORED: dict[str, Any] = {
    "name": "garage",
    "imbalance_a": 20,
    "ocpp_server": {"tls": "detect"},
    "circuits": [{"id": "main", "limit_a": 63}, {"id": "row", "limit_a": 32}],
}


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({}, {}),
        ({"name": "other"}, {"name": "other"}),
        ({"ocpp_server": {"cpo_name": "x"}}, {"ocpp_server": {"tls": "detect", "cpo_name": "x"}}),
        ({"circuits": []}, {"circuits": []}),
        (
            {"circuits": {"row": {"limit_a": 16}}},
            {"circuits": [STORED["circuits"][0], {"id": "row", "limit_a": 16}]},
        ),
        ({"circuits": {"main": None}}, {"circuits": [STORED["circuits"][1]]}),
        (
            {"circuits": {"new": {"limit_a": 8}}},
            {"circuits": [*STORED["circuits"], {"id": "new", "limit_a": 8}]},
        ),
        ({"circuits": {"main": 3}}, {"circuits": [*STORED["circuits"], 3]}),
    ],
)
def test_changes_are_put_upon_the_stored_site(
    changes: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert with_changes(STORED, changes) == {**STORED, **changed}


def test_a_setting_set_to_null_is_gone() -> None:
    assert "imbalance_a" not in with_changes(STORED, {"imbalance_a": None})


def test_a_part_that_is_not_there_cannot_be_removed() -> None:
    changes = {"circuits": {"row": None, "nope": None, "new": {"limit_a": 8}}, "imbalance_a": None}
    (found,) = removal_problems(STORED, changes)
    assert found.path == "circuits[nope]"
    assert "'nope'" in found.message


def test_stations_are_removed_in_any_case() -> None:
    assert removal_problems({"stations": [{"id": "Box-1"}]}, {"stations": {"BOX-1": None}}) == []
