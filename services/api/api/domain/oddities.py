"""What is strange about a station that is served all the same, in sentences for the operator."""

from collections.abc import Iterator, Sequence

from api.domain.station_live import StationLive
from shared.contracts.site import Evse, OcppServerConfig, Station, TlsMode
from shared.contracts.station import ConfigurationEntry
from shared.station_models import FAULTS_AT_ZERO, STATION_MODELS

OCPP_16 = "ocpp1.6"
_NUMBER_OF_CONNECTORS = "numberofconnectors"


def oddities(
    live: StationLive,
    station: Station | None,
    *,
    evses: Sequence[Evse],
    server: OcppServerConfig,
    connectors: int | None,
    model: str = "",
) -> list[str]:
    """Return what should be looked at; nothing while the station is not here.

    ``connectors`` is what the station says it has; ``None`` = it was not asked yet. ``model`` is
    the one whose habits it is treated by; empty = none, or not known yet.
    """
    if not live.online or live.protocol != "ocpp":
        return []
    found = [*_of_subprotocol(live)]
    if station is None:
        return [_unknown(live), *found]
    return [
        *found,
        *_of_model(station, evses, model),
        *_of_connectors(evses, connectors),
        *_of_profile(live, station, server),
    ]


def connectors_in(entries: Sequence[ConfigurationEntry]) -> int | None:
    """Return NumberOfConnectors of a configuration; ``None`` where it is not told.

    Keys come in other case, values in quotes (field notes 5.4, 27).
    """
    for entry in entries:
        text = (entry.value or "").strip(" \"'")
        if entry.key.casefold() == _NUMBER_OF_CONNECTORS and text.isascii() and text.isdigit():
            return int(text[:6])
    return None


def _unknown(live: StationLive) -> str:
    return (
        f"no station {live.station_id!r} is configured, so it is held and charges nobody: add it, "
        "or correct the ChargeBox id in the wallbox"
    )


def _of_subprotocol(live: StationLive) -> Iterator[str]:
    if live.subprotocol is None:
        yield (
            "it offers no sub-protocol and is served as OCPP 1.6: set the wallbox to OCPP 1.6 JSON "
            "if it lets you choose"
        )
    elif live.subprotocol != OCPP_16:
        yield (
            f"it offers the sub-protocol {live.subprotocol!r} instead of {OCPP_16!r}: a newer "
            "firmware may mend that"
        )


def _of_model(station: Station, evses: Sequence[Evse], model: str) -> Iterator[str]:
    """A stored site may be older than these rules; and most models are recognised, not named."""
    if station.model is not None and station.model not in STATION_MODELS:
        yield (
            f"it is configured as model {station.model!r}, which is not known, so it is treated as "
            f"{model or 'one of no special habits'}: name one of {', '.join(STATION_MODELS)}, "
            "or none"
        )
    if model not in FAULTS_AT_ZERO:
        return
    for evse in evses:
        if not evse.fallback_a:
            yield (
                f"it is a {model}, which faults at 0 A and is left at its minimum: give EVSE "
                f"{evse.id!r} a fallback_a of at least its min_a, {evse.min_a:g} A"
            )


def _of_connectors(evses: Sequence[Evse], connectors: int | None) -> Iterator[str]:
    if connectors is None:
        return
    for evse in evses:
        if evse.connector > connectors:
            yield (
                f"EVSE {evse.id!r} is its connector {evse.connector}, but it says that it has "
                f"{connectors}: correct the connector of the EVSE"
            )
    configured = {evse.connector for evse in evses}
    missing = [number for number in range(1, min(connectors, 64) + 1) if number not in configured]
    if missing:
        numbers = ", ".join(map(str, missing))
        yield (
            f"it says that it has {connectors} connectors, and no EVSE is configured for connector "
            f"{numbers}: nothing limits the current there"
        )


def _of_profile(live: StationLive, station: Station, server: OcppServerConfig) -> Iterator[str]:
    coming = station.next_security_profile
    if coming is not None and live.security_profile < coming:
        yield (
            f"it was told to use security profile {coming} and connects with "
            f"{live.security_profile}: restart the wallbox, or look whether it trusts this "
            "server's certificate"
        )
    elif live.security_profile == 1 and server.tls is not TlsMode.OFF:
        yield (
            "it sends its password unencrypted, and this port takes TLS: use wss:// in the wallbox "
            "(security profile 2)"
        )
    elif live.security_profile >= 2 and (station.security_profile or 0) < live.security_profile:
        yield (
            f"it connects with security profile {live.security_profile}, and weaker ones would be "
            f"let in too: set its security_profile to {live.security_profile}"
        )
