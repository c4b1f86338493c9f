"""Editing one part of a site document."""

from typing import Any

import pytest

from api.domain.site_parts import find_part, merged, with_part, without_part

SITE: dict[str, Any] = {"tokens": [{"id": "AB"}, {"id": "CD"}], "evses": [{"id": "e"}]}


def test_a_part_is_replaced_in_its_place_or_added_at_the_end() -> None:
    assert with_part(SITE, "tokens", {"id": "ab", "name": "x"})["tokens"] == [
        {"id": "ab", "name": "x"},
        {"id": "CD"},
    ]
    assert with_part(SITE, "evses", {"id": "E"})["evses"] == [{"id": "e"}, {"id": "E"}]
    assert SITE["evses"] == [{"id": "e"}]


def test_a_part_is_found_and_removed() -> None:
    assert find_part(SITE, "tokens", "cd") == {"id": "CD"}
    assert find_part(SITE, "evses", "E") is None
    assert without_part(SITE, "tokens", "cd")["tokens"] == [{"id": "AB"}]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # examples of RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a"], {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_its_standard(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result
