"""Passwords and security profiles that a station is being given: what follows from its answers.

OCPP 1.6 security, A01 and A05: the new one is stored beside the old one, told to the station, and
replaces the old one when the station has taken it or comes with it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from api.domain.site_parts import find_part, with_part
from api.domain.site_secrets import Document
from shared.contracts.ocpp import CallResult
from shared.contracts.site import OcppServerConfig, Station, TlsMode
from shared.contracts.station import StationConnected

_TAKEN = frozenset({"Accepted", "RebootRequired"})
_TLS_ONLY = "this port takes TLS only, so profile 1 cannot connect: choose profile 2"
_NO_TLS = "this port takes no TLS: set tls of ocpp_server to detect or on first"
_NO_ROOT = (
    "it trusts no root yet: install that of this server's certificate in it first "
    "(InstallCertificate, CentralSystemRootCertificate)"
)
_NO_CERTIFICATE = "no client certificate of a station is trusted here: make an authority, then"


class Settlement(Enum):
    """What becomes of the new value."""

    PROMOTE = "promote"
    DROP = "drop"
    KEEP_BOTH = "keep_both"
    """Nobody knows whether the station has taken it; its next connection tells."""


def settlement_of(outcome: CallResult, status: str | None) -> Settlement:
    """Return what a station's answer to ChangeConfiguration means.

    Without an answer both are kept: the station may have taken it and lost its connection.
    """
    if outcome in {CallResult.OFFLINE, CallResult.TIMEOUT}:
        return Settlement.KEEP_BOTH
    if outcome is CallResult.ANSWERED and status in _TAKEN:
        return Settlement.PROMOTE
    return Settlement.DROP


def promotion_of(station: Station, fact: StationConnected) -> Document:
    """Return the settings of a station that change because it has connected as it did."""
    changes: Document = {}
    if fact.used_next_password and station.next_password_hash is not None:
        changes |= {"password_hash": station.next_password_hash, "next_password_hash": None}
    coming = station.next_security_profile
    if coming is not None and fact.security_profile >= coming:
        changes |= {"security_profile": coming, "next_security_profile": None}
    return changes


def with_settings(stored: Document, station_id: str, changes: Mapping[str, Any]) -> Document:
    """Return the site with some settings of a station changed; unchanged when it is gone."""
    part = find_part(stored, "stations", station_id)
    return stored if part is None else with_part(stored, "stations", {**part, **changes})


def with_password_settled(
    stored: Document, station_id: str, new_hash: str, *, settlement: Settlement, before: str | None
) -> Document:
    """Return the site after the station's answer to a new password.

    ``before`` is a password that was pending already: refusing this one does not settle that one.
    Nothing changes when something else is pending by now.
    """
    part = find_part(stored, "stations", station_id)
    if part is None or part.get("next_password_hash") != new_hash:
        return stored
    if settlement is Settlement.PROMOTE:
        changes = {"password_hash": new_hash, "next_password_hash": None}
        return with_settings(stored, station_id, changes)
    if settlement is Settlement.DROP:
        return with_settings(stored, station_id, {"next_password_hash": before})
    return stored


def missing_for_profile(
    wanted: int,
    station: Station,
    *,
    present: int,
    server: OcppServerConfig,
    has_root: bool | None,
    has_certificate: bool | None,
) -> list[str]:
    """Return what must be done before a station can be told to use a security profile (A05).

    ``present`` is the profile of its connection. ``has_root``: the root of this server's
    certificate is installed in it; ``has_certificate``: it can have a client certificate that is
    trusted here. ``None`` = not known: the station itself will say.
    """
    least = max(station.security_profile or 0, present)
    if wanted <= least:
        return [
            f"it uses security profile {least} already, and OCPP knows no way down (A05): set the "
            "wallbox itself, and security_profile of the station here"
        ]
    path = f"POST /api/v1/stations/{station.id}"
    has_password = (station.password_hash or server.password_hash) is not None
    found = {
        f"give it a password first: {path}/password": wanted in {1, 2} and not has_password,
        _TLS_ONLY: wanted == 1 and server.tls is TlsMode.ON,
        _NO_TLS: wanted >= 2 and server.tls is TlsMode.OFF,
        _NO_ROOT: wanted >= 2 and has_root is False,
        f"{_NO_CERTIFICATE} {path}/client-certificate": wanted == 3 and has_certificate is False,
    }
    return [sentence for sentence, is_missing in found.items() if is_missing]
