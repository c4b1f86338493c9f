"""How a token is answered."""

import pytest

from ocpp_server.domain.tokens import id_tag_info
from shared.contracts.site import Token, TokenStatus


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
    assert id_tag_info(token, accept_unknown=True) == {"status": word}


def test_an_unlisted_token_is_invalid_unless_charging_is_free() -> None:
    assert id_tag_info(None, accept_unknown=False) == {"status": "Invalid"}
    assert id_tag_info(None, accept_unknown=True) == {"status": "Accepted"}


def test_the_parent_is_told() -> None:
    assert id_tag_info(Token(id="A", parent="P"), accept_unknown=False)["parentIdTag"] == "P"
