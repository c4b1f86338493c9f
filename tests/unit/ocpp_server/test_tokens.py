"""How a token is answered."""

from datetime import UTC, datetime, timedelta

import pytest

from ocpp_server.domain.tokens import id_tag_info
from shared.contracts.site import Token, TokenStatus

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (TokenStatus.ACCEPTED, "Accepted"),
        (TokenStatus.BLOCKED, "Blocked"),
        (TokenStatus.EXPIRED, "Expired"),
        (TokenStatus.INVALID, "Invalid"),
    ],
)
def test_a_listed_token_is_answered_as_listed(status: TokenStatus, word: str) -> None:
    token = Token(id="A", status=status)
    assert id_tag_info(token, accept_unknown=True, now=NOW) == {"status": word}


def test_an_unlisted_token_is_invalid_unless_charging_is_free() -> None:
    assert id_tag_info(None, accept_unknown=False, now=NOW) == {"status": "Invalid"}
    assert id_tag_info(None, accept_unknown=True, now=NOW) == {"status": "Accepted"}


def test_the_parent_is_told() -> None:
    token = Token(id="A", parent="P")
    assert id_tag_info(token, accept_unknown=False, now=NOW)["parentIdTag"] == "P"


def test_a_token_is_accepted_until_the_moment_it_expires_and_the_moment_is_told() -> None:
    token = Token(id="A", expires_at=NOW + timedelta(seconds=1))
    assert id_tag_info(token, accept_unknown=False, now=NOW) == {
        "status": "Accepted",
        "expiryDate": "2026-03-01T12:00:01Z",
    }
    later = NOW + timedelta(seconds=1)
    assert id_tag_info(token, accept_unknown=False, now=later) == {"status": "Expired"}


def test_a_blocked_token_stays_blocked_after_it_has_expired() -> None:
    token = Token(id="A", status=TokenStatus.BLOCKED, expires_at=NOW)
    assert id_tag_info(token, accept_unknown=True, now=NOW) == {"status": "Blocked"}


def test_a_moment_without_a_zone_is_utc() -> None:
    token = Token(id="A", expires_at=datetime(2026, 3, 1, 12, 0))
    assert id_tag_info(token, accept_unknown=False, now=NOW)["status"] == "Expired"
