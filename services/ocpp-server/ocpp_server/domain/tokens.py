"""How an idTag is answered when we decide (OCPP 1.6, 7.5 and 7.26)."""

from datetime import UTC, datetime
from typing import Any

from ocpp_server.domain.timestamps import format_timestamp
from shared.contracts.site import Token, TokenStatus

_WORDS = {
    TokenStatus.ACCEPTED: "Accepted",
    TokenStatus.BLOCKED: "Blocked",
    TokenStatus.EXPIRED: "Expired",
    TokenStatus.INVALID: "Invalid",
}

INVALID: dict[str, Any] = {"status": "Invalid"}


def id_tag_info(token: Token | None, *, accept_unknown: bool, now: datetime) -> dict[str, Any]:
    """Return the IdTagInfo of a token; ``None`` is one that the site does not list.

    An accepted token is ``Expired`` from its ``expires_at`` on; until then that moment is told as
    ``expiryDate``, so that a station with an authorization cache forgets it in time (3.5.1).
    """
    # Never ConcurrentTx: who comes with two cars to a garage, or takes a card for the family, is
    # billed for both transactions. A backend that wants one transaction per card decides itself.
    if token is None:
        return {"status": "Accepted" if accept_unknown else "Invalid"}
    expires_at = _certain(token.expires_at)
    status = _WORDS[token.status]
    if token.status is TokenStatus.ACCEPTED and expires_at is not None and expires_at <= now:
        status = "Expired"
    info = {"status": status}
    if token.parent is not None:
        info["parentIdTag"] = token.parent[:20]
    if expires_at is not None and expires_at > now:
        info["expiryDate"] = format_timestamp(expires_at)
    return info


def _certain(moment: datetime | None) -> datetime | None:
    """A site file may leave the zone out; it is UTC then."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)
