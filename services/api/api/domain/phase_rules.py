"""What a site must fulfil where EVSEs are said to switch between one and three phases. Pure."""

from collections.abc import Iterator

from api.domain.problem import Problem, Severity
from shared.contracts.site import Evse, SiteConfig, Station
from shared.station_models import IGNORES_PHASES, SWITCHING_TEMPLATES


def _phases_can_be_switched(site: SiteConfig) -> Iterator[Problem]:
    """Load management counts on it, and each such order would be refused."""
    for evse in site.evses:
        station = site.station(evse.station)
        if not evse.switches_phases or station is None:
            continue
        inability = _inability(evse, station)
        if inability is not None:
            yield Problem(
                f"evses[{evse.id}].switches_phases",
                f"{inability}: set switches_phases to false, or its orders will be refused",
                Severity.WARNING,
            )


def _inability(evse: Evse, station: Station) -> str | None:
    """Return why its phases cannot be switched; ``None`` = they can, as far as is known."""
    if evse.phases == 1:
        return "it is wired to one phase, so there is nothing to switch"
    if station.protocol == "ocpp" and station.model in IGNORES_PHASES:
        return f"a {station.model} cannot be told by OCPP how many phases to use"
    if station.modbus is not None and station.modbus.template not in SWITCHING_TEMPLATES:
        known = ", ".join(sorted(SWITCHING_TEMPLATES))
        template = station.modbus.template
        return f"the template {template} does not say how to switch phases (known to: {known})"
    return None


PHASE_RULES = (_phases_can_be_switched,)
