"""What a new site changes."""

from typing import Any

import pytest

from api.domain.site_diff import Change, changes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"revision": 1, "name": "a"}, {"revision": 2, "name": "a"}, []),
        ({"name": "a"}, {"name": "b"}, [Change("name", "a", "b")]),
        (
            {"c": [{"id": "x", "limit_a": {"L1": 1, "L2": 2}}]},
            {"c": [{"id": "x", "limit_a": {"L1": 1, "L2": 3}}]},
            [Change("c[x].limit_a.L2", 2, 3)],
        ),
        ({"c": []}, {"c": [{"id": "x"}]}, [Change("c[x]", None, {"id": "x"})]),
        ({"c": [{"id": "x"}]}, {"c": []}, [Change("c[x]", {"id": "x"}, None)]),
        ({"c": ["L1", "L2"]}, {"c": ["L2", "L1"]}, [Change("c", ["L1", "L2"], ["L2", "L1"])]),
        ({}, {"name": "b"}, [Change("name", None, "b")]),
        (
            {"s": {"password_hash": None, "password": "x"}},
            {"s": {"password_hash": "secret", "password": None}},
            [Change("s.password_hash", None, "***"), Change("s.password", "***", None)],
        ),
        (
            {"e": [{"id": "a", "backend": None}]},
            {"e": [{"id": "a", "backend": {"password": "secret"}}]},
            [Change("e[a].backend", None, {"password": "***"})],
        ),
    ],
)
def test_differences(before: dict[str, Any], after: dict[str, Any], expected: list[Change]) -> None:
    assert changes(before, after) == expected
