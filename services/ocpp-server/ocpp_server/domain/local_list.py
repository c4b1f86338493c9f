"""The local authorization list of a station, made of the site's tokens (OCPP 1.6, 5.8 and 5.15).

The version of a list follows the revision of the tokens, so that one look at the station's version
tells whether it has them. 64 numbers belong to each revision: a list that does not go out in one
message takes several, and the last one is the same for every station.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ocpp_server.domain.tokens import id_tag_info
from shared.contracts.site import Token

VERSIONS = 64
MOST_MESSAGES = VERSIONS - 1
USUAL_PIECE = 50
"""Entries of one message where the station names no limit. Some break off at what is too long for
them (field notes 5.2, 16)."""
LONGEST_TAG = 20
MAX_PIECE_KEY = "SendLocalListMaxLength"
MAX_LIST_KEY = "LocalAuthListMaxLength"

Payload = dict[str, Any]


def wanted_version(tokens_revision: int) -> int:
    """Return the version of a list that has the tokens of that revision."""
    return tokens_revision * VERSIONS + VERSIONS - 1


def next_version(told: int, wanted: int) -> int:
    """Return the last version of a list of which every message is newer than what a station has.

    For stations that answered VersionMismatch: they have a list of somebody else. It is never the
    wanted version of any revision of the tokens.
    """
    return (max(told, wanted) // VERSIONS + 2) * VERSIONS - 2


def entries(tokens: Iterable[Token], *, now: datetime) -> tuple[Payload, ...]:
    """Return the AuthorizationData of tokens. One that is too long for OCPP cannot be listed."""
    found = {
        token.id.casefold(): {
            "idTag": token.id,
            "idTagInfo": id_tag_info(token, accept_unknown=False, now=now),
        }
        for token in tokens
        if len(token.id) <= LONGEST_TAG
    }
    return tuple(found.values())


def piece_length(told: int | None, length: int) -> int:
    """Return how many entries one message may have.

    ``told``: SendLocalListMaxLength. Without it the usual, or what makes 63 messages do.
    """
    if told is not None and told > 0:
        return told
    return max(USUAL_PIECE, -(-length // MOST_MESSAGES))


def updates(listed: Sequence[Payload], *, version: int, piece: int) -> tuple[Payload, ...] | None:
    """Return the SendLocalList.req that bring a station to a version, in order.

    The first replaces the whole list, others add to it. ``None`` = it takes too many messages.
    """
    pieces = [listed[at : at + piece] for at in range(0, len(listed), piece)] or [()]
    if len(pieces) > MOST_MESSAGES:
        return None
    first = version - len(pieces) + 1
    return tuple(
        {
            "listVersion": first + number,
            "updateType": "Full" if number == 0 else "Differential",
            "localAuthorizationList": list(entries_of_piece),
        }
        for number, entries_of_piece in enumerate(pieces)
    )
