"""The password of a station: user name, present password, and the one that it is being given.

OCPP 1.6 security: the user name is the identity of the station (A00.FR.204), the password counts
before the upgrade, and while a new one is being handed over either is good (A01).
"""

from collections.abc import Callable
from dataclasses import dataclass

from ocpp_server.domain.basic_auth import password_forms
from ocpp_server.domain.handshake import Handshake, Refusal
from shared.contracts.site import SiteConfig, Station
from shared.contracts.station import RefusalReason

PasswordCheck = Callable[[str, str], bool]
"""(stored hash, presented text) -> fits; constant time, see ``shared.passwords``."""
USER_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Fitted:
    """The station may come in, as far as its password goes."""

    stored: str | None = None
    """The hash that fitted; ``None`` = no password was demanded."""
    is_next: bool = False


def check_password(
    handshake: Handshake,
    site: SiteConfig,
    station: Station | None,
    *,
    password_matches: PasswordCheck,
) -> Fitted | Refusal:
    """Return which password a station came with, or why it is not good enough.

    A station without a password of its own uses that of the server, an unknown one too.
    """
    present = (station.password_hash if station else None) or site.ocpp_server.password_hash
    coming = station.next_password_hash if station else None
    if coming is not None and _fits(coming, handshake, station, password_matches):
        return Fitted(coming, is_next=True)
    if present is None:
        return _refusal_without_password(handshake, station) or Fitted()
    refusal = _refusal_of_credentials(handshake, station)
    if refusal is not None:
        return refusal
    if _fits(present, handshake, station, password_matches):
        return Fitted(present)
    return _refuse("the password of the wallbox is not the one configured here")


def _fits(
    stored: str, handshake: Handshake, station: Station | None, password_matches: PasswordCheck
) -> bool:
    if handshake.password is None or not _user_fits(handshake, station):
        return False
    return any(password_matches(stored, form) for form in password_forms(handshake.password))


def _user_fits(handshake: Handshake, station: Station | None) -> bool:
    """An empty user name is tolerated; upper and lower case count as equal, as in identities."""
    names = {handshake.identity.casefold(), (station.id if station else "").casefold(), ""}
    return (handshake.user or "").casefold() in names


def _refusal_of_credentials(handshake: Handshake, station: Station | None) -> Refusal | None:
    if handshake.password is None:
        return _refuse("the wallbox presents no password; enter the one configured here")
    if _user_fits(handshake, station):
        return None
    user = (handshake.user or "")[:USER_SHOWN]
    return _refuse(
        f"the wallbox presents the user name {user!r}; the user name must be its ChargeBox id, "
        f"{handshake.identity!r}: enter that, or leave the user name empty"
    )


def _refusal_without_password(handshake: Handshake, station: Station | None) -> Refusal | None:
    demanded = (station.security_profile if station else None) or 0
    if demanded not in {1, 2}:
        return None
    return _refuse(
        f"{handshake.identity} is set to security profile {demanded}, which needs a password; none "
        "is configured here"
    )


def _refuse(detail: str) -> Refusal:
    return Refusal(reason=RefusalReason.PASSWORD, status=401, detail=detail)
