"""Who is let in: path, sub-protocol, security profile, certificate, password, in this order."""

from ocpp_server.domain.client_certificate import is_bound, profile_of, refusal_of_certificate
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.domain.station_password import Fitted, PasswordCheck, check_password
from shared.contracts.site import SiteConfig, Station
from shared.contracts.station import RefusalReason

OCPP_16 = "ocpp1.6"
SPELLINGS_OF_16 = frozenset({"ocpp1.6", "ocpp1.6j", "ocpp1.6-j", "ocpp"})
"""What stations offer when they mean OCPP 1.6J (field notes 5.1, 1)."""
IDENTITY_LIMIT = 64
PATH_SHOWN = 100
"""Characters of a wrong path that are repeated to the operator."""


def decide(
    handshake: Handshake, site: SiteConfig, *, password_matches: PasswordCheck
) -> Admission | Refusal:
    """Return as whom a station is let in, or why not.

    The security profile is looked at before the password, so that a station that must use TLS is
    never asked for its password in the clear. A station that the site does not list is held, not
    refused: the operator sees it and decides.
    """
    identity = handshake.identity
    if not identity or len(identity) > IDENTITY_LIMIT or not identity.isprintable():
        return _refuse_path(handshake)
    station = site.station(identity)
    if station is not None and station.protocol != "ocpp":
        return _refuse_name(station)
    bound = is_bound(handshake, site, station)
    refusal = (
        _refusal_of_subprotocol(handshake)
        or _refusal_of_profile(handshake, station)
        or refusal_of_certificate(handshake, site, station)
    )
    if refusal is not None:
        return refusal
    password: Fitted | Refusal = Fitted()
    if not bound:
        password = check_password(handshake, site, station, password_matches=password_matches)
    if isinstance(password, Refusal):
        return password
    return Admission(
        station_id=identity if station is None else station.id,
        subprotocol=_chosen_subprotocol(handshake.subprotocols),
        known=station is not None,
        used_next_password=password.is_next,
        password_hash=password.stored,
        security_profile=profile_of(
            handshake, bound=bound, password_checked=password.stored is not None
        ),
    )


def _refuse_path(handshake: Handshake) -> Refusal:
    return Refusal(
        reason=RefusalReason.PATH,
        status=404,
        detail=f"the path {handshake.path[:PATH_SHOWN]!r} must end in the ChargeBox id of the "
        f"wallbox, at most {IDENTITY_LIMIT} printable characters, like "
        "ws://this-server:19520/MYBOX",
    )


def _refuse_name(station: Station) -> Refusal:
    return Refusal(
        reason=RefusalReason.PATH,
        status=409,
        detail=f"{station.id} is the name of a {station.protocol} station here; give the wallbox "
        "another ChargeBox id, or rename that station",
    )


def _chosen_subprotocol(offered: tuple[str, ...]) -> str | None:
    """The first offered name that means OCPP 1.6; the exact one is preferred."""
    if OCPP_16 in offered:
        return OCPP_16
    return next((name for name in offered if name.lower() in SPELLINGS_OF_16), None)


def _refusal_of_subprotocol(handshake: Handshake) -> Refusal | None:
    offered = handshake.subprotocols
    if not offered or _chosen_subprotocol(offered) is not None:
        return None
    return Refusal(
        reason=RefusalReason.SUBPROTOCOL,
        status=400,
        detail=f"the wallbox offers {', '.join(offered)}; set it to OCPP 1.6 JSON (ocpp1.6)",
    )


def _refusal_of_profile(handshake: Handshake, station: Station | None) -> Refusal | None:
    demanded = (station.security_profile if station else None) or 0
    if demanded < 2 or handshake.tls:
        return None
    return Refusal(
        reason=RefusalReason.SECURITY_PROFILE,
        status=403,
        detail=f"{handshake.identity} is set to security profile {demanded}, which needs TLS: use "
        "wss:// in the wallbox, or lower its profile here",
    )
