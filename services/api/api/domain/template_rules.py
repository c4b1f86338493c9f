"""What a site must fulfil where devices speak Modbus: there is a template for each. Pure."""

from collections.abc import Iterator

from api.domain.problem import Problem
from shared.contracts.site import ModbusAccess, SiteConfig
from shared.station_models import CHARGER_TEMPLATES, METER_TEMPLATES

KNOWN = {"charger": CHARGER_TEMPLATES, "meter": METER_TEMPLATES}


def _templates_are_known(site: SiteConfig) -> Iterator[Problem]:
    """Without one the bridge polls nothing, and load management counts on its worst case."""
    for station in site.stations:
        yield from _of_its_kind(f"stations[{station.id}]", station.modbus, "charger")
    for meter in site.meters:
        yield from _of_its_kind(f"meters[{meter.id}]", meter.modbus, "meter")


def _of_its_kind(part: str, access: ModbusAccess | None, kind: str) -> Iterator[Problem]:
    if access is None or access.template in KNOWN[kind]:
        return
    others = [other for other, names in KNOWN.items() if access.template in names]
    mistake = (
        f"the Modbus template {access.template!r} is for a {others[0]}"
        if others
        else f"there is no Modbus template {access.template!r}"
    )
    yield Problem(
        f"{part}.modbus.template",
        f"{mistake}: for a {kind} name one of {', '.join(KNOWN[kind])}",
    )


TEMPLATE_RULES = (_templates_are_known,)
