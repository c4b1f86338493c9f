"""Secrets in a site document."""

from copy import deepcopy
from typing import Any

import pytest

from api.domain.site_secrets import MASK, hidden, revealed

STORED: dict[str, Any] = {
    "ocpp_server": {"tls": "off", "password_hash": "hash-of-server"},
    "stations": [{"id": "s1", "password_hash": "hash-of-s1"}, {"id": "s2", "password_hash": None}],
    "evses": [{"id": "e1", "backend": {"url": "u", "password": "secret"}}, {"id": "e2"}],
}


def hashed(password: str) -> str:
    return f"hash of {password}"


def test_every_secret_is_hidden_and_nothing_else() -> None:
    shown = hidden(STORED)
    assert shown["ocpp_server"] == {"tls": "off", "password_hash": MASK}
    assert shown["stations"] == [
        {"id": "s1", "password_hash": MASK},
        {"id": "s2", "password_hash": None},
    ]
    assert shown["evses"][0]["backend"] == {"url": "u", "password": MASK}


def test_what_was_shown_means_unchanged_when_it_comes_back() -> None:
    assert revealed(hidden(STORED), STORED, hashed) == STORED


@pytest.mark.parametrize(
    ("sent", "stored_hash"),
    [
        ({"password": "new"}, "hash of new"),
        ({"password": "new", "password_hash": MASK}, "hash of new"),
        ({"password": MASK}, "hash-of-s1"),
        ({"password_hash": MASK}, "hash-of-s1"),
        ({"password": None}, None),
        ({"password": ""}, None),
        ({"password": 1234}, 1234),
        ({"password_hash": "given"}, "given"),
    ],
)
def test_a_station_password_is_hashed_kept_or_removed(
    sent: dict[str, Any], stored_hash: object
) -> None:
    draft = {"stations": [{"id": "s1", **sent}]}
    before = deepcopy(draft)
    assert revealed(draft, STORED, hashed)["stations"] == [
        {"id": "s1", "password_hash": stored_hash}
    ]
    assert draft == before


def test_a_mask_that_stands_for_nothing_stays_for_the_rules_to_refuse() -> None:
    draft = {
        "ocpp_server": {"password_hash": MASK},
        "evses": [{"id": "e9", "backend": {"password": MASK}}],
    }
    assert revealed(draft, {}, hashed) == draft


@pytest.mark.parametrize(
    "draft",
    [{"stations": 7}, {"stations": ["x"]}, {"stations": [{"id": ["x"]}]}, {"ocpp_server": []}],
)
def test_wrong_shapes_are_left_for_validation(draft: dict[str, Any]) -> None:
    assert revealed(draft, STORED, hashed) == draft


def test_a_pending_password_is_hidden_and_kept() -> None:
    stored = {"stations": [{"id": "s1", "password_hash": "old", "next_password_hash": "new"}]}
    shown = hidden(stored)
    assert shown["stations"][0]["next_password_hash"] == MASK
    assert revealed(shown, stored, hashed) == stored
    dropped = {"stations": [{"id": "s1", "password_hash": MASK, "next_password_hash": None}]}
    assert revealed(dropped, stored, hashed)["stations"][0]["next_password_hash"] is None


def test_a_masked_pending_password_that_is_not_there_is_left_for_the_rules() -> None:
    draft = {"stations": [{"id": "s9", "next_password_hash": MASK}]}
    assert revealed(draft, STORED, hashed)["stations"][0]["next_password_hash"] == MASK
