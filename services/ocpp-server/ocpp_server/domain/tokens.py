"""How an idTag is answered when we decide (OCPP 1.6, 7.5 and 7.26)."""

from typing import Any

from shared.contracts.site import Token, TokenStatus

_WORDS = {
    TokenStatus.ACCEPTED: "Accepted",
    TokenStatus.BLOCKED: "Blocked",
    TokenStatus.EXPIRED: "Expired",
    TokenStatus.INVALID: "Invalid",
}

INVALID: dict[str, Any] = {"status": "Invalid"}


def id_tag_info(token: Token | None, *, accept_unknown: bool) -> dict[str, Any]:
    """Return the IdTagInfo of a token; ``None`` is one that the site does not list."""
    if token is None:
        return {"status": "Accepted" if accept_unknown else "Invalid"}
    info = {"status": _WORDS[token.status]}
    if token.parent is not None:
        info["parentIdTag"] = token.parent[:20]
    return info
