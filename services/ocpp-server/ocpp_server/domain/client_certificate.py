"""Security profile 3: whether a client certificate is that of the station (S21).

That it is trusted at all, TLS has found out before; here it is bound to one station.
"""

import unicodedata

from ocpp_server.domain.handshake import Handshake, Refusal
from shared.contracts.site import SiteConfig, Station
from shared.contracts.station import RefusalReason

CERTIFICATE_PROFILE = 3


def is_bound(handshake: Handshake, site: SiteConfig, station: Station | None) -> bool:
    """Tell whether the client certificate is this station's. It replaces a password then."""
    return _misfit(handshake, site, station) is None


def refusal_of_certificate(
    handshake: Handshake, site: SiteConfig, station: Station | None
) -> Refusal | None:
    """Refuse a station of profile 3 without a certificate that is its own.

    OCPP security white paper: the common name is the station's serial number (A00.FR.405), the
    organisation that of the operator (A00.FR.404). A pinned fingerprint stands for both.
    """
    demanded = (station.security_profile if station else None) or 0
    if demanded < CERTIFICATE_PROFILE:
        return None
    misfit = _misfit(handshake, site, station)
    if misfit is None:
        return None
    return Refusal(reason=RefusalReason.CERTIFICATE, status=403, detail=misfit)


def profile_of(handshake: Handshake, *, bound: bool, password_checked: bool) -> int:
    """Return the OCPP security profile that an admitted connection fulfils.

    0 = none: nobody has proved who it is, TLS or not.
    """
    if bound:
        return CERTIFICATE_PROFILE
    if not password_checked:
        return 0
    return 2 if handshake.tls else 1


def _misfit(handshake: Handshake, site: SiteConfig, station: Station | None) -> str | None:
    """Return why the certificate is not that of the station, in a sentence; ``None`` = it is."""
    name = handshake.identity if station is None else station.id
    if handshake.certificate_fingerprint is None:
        return (
            f"{name} is set to security profile 3 and shows no client certificate: install one in "
            "the wallbox, and store it or its root here among the certificates of stations"
        )
    pinned = station.certificate_fingerprint if station else None
    if pinned is not None:
        return _misfit_of_fingerprint(handshake, name, pinned)
    wanted = (station.certificate_name if station else None) or name
    return _misfit_of_name(handshake, name, wanted) or _misfit_of_organisation(
        handshake, name, site.ocpp_server.cpo_name
    )


def _misfit_of_fingerprint(handshake: Handshake, name: str, pinned: str) -> str | None:
    if handshake.certificate_fingerprint == pinned:
        return None
    return (
        f"{name} shows a client certificate with the fingerprint "
        f"{handshake.certificate_fingerprint}, but {pinned} is configured here: install that one "
        "in the wallbox, or change certificate_fingerprint of the station"
    )


def _misfit_of_name(handshake: Handshake, name: str, wanted: str) -> str | None:
    """Some makers put the serial number into the attribute of that name instead."""
    shown = (handshake.certificate_name, handshake.certificate_serial_name)
    if _folded(wanted) in {_folded(one) for one in shown if one}:
        return None
    return (
        f"{name} shows a client certificate with the common name "
        f"{handshake.certificate_name or '(none)'}, but {wanted} is expected: install the right "
        "one in the wallbox, or set certificate_name of the station"
    )


def _misfit_of_organisation(handshake: Handshake, name: str, cpo_name: str) -> str | None:
    organisation = handshake.certificate_organisation
    if not cpo_name or _folded(cpo_name) in _folded(organisation or ""):
        return None
    return (
        f"{name} shows a client certificate of the organisation {organisation or '(none)'}, which "
        f"does not contain {cpo_name}: have it signed for that organisation, or set "
        "certificate_fingerprint of the station"
    )


def _folded(text: str) -> str:
    """Umlauts may come in two spellings, composed and decomposed."""
    return unicodedata.normalize("NFC", text).casefold()
