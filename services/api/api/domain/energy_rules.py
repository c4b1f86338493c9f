"""What a site must fulfil beside its fuses: dimming, the sun, the quarter hour, imbalance.

All of it is doubtful rather than wrong, so these are warnings. Rules of ``api.domain.site_rules``.
"""

from collections.abc import Callable, Iterator

from api.domain.problem import Problem, Severity
from shared.contracts.site import CONTROLLABLE_W, MeterRole, SiteConfig
from shared.units import NOMINAL_VOLTAGE_V, PHASES


def _dimming_finds_somebody(site: SiteConfig) -> Iterator[Problem]:
    if site.dimming is not None and not any(evse.is_controllable for evse in site.evses):
        yield _warning(
            "dimming",
            f"no EVSE can draw more than {CONTROLLABLE_W:g} W, so none is dimmed: take the section "
            "out, or correct phases and max_a of the EVSEs",
        )


def _surplus_is_measured(site: SiteConfig) -> Iterator[Problem]:
    """Without the grid's meter, one of generation tells what there is beside what is drawn."""
    waiting = [evse.id for evse in site.evses if evse.surplus_only]
    roots = {circuit.id for circuit in site.circuits if circuit.parent is None}
    is_measured = any(
        meter.role is MeterRole.GENERATION
        or (meter.role is MeterRole.GRID and meter.circuit in roots)
        for meter in site.meters
    )
    if waiting and not is_measured:
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        yield _warning(
            f"evses[{waiting[0]}].surplus_only",
            f"it never charges by itself{more}: nobody tells what the sun gives; add a meter of "
            "role grid at the grid connection, or one of role generation",
        )


def _mean_can_bind(site: SiteConfig) -> Iterator[Problem]:
    for circuit in site.circuits:
        if circuit.mean_limit_w is None:
            continue
        fuse_w = NOMINAL_VOLTAGE_V * sum(circuit.limit_a.on(phase) for phase in PHASES)
        most_w, whose = fuse_w, "of its fuse"
        if circuit.limit_w is not None and circuit.limit_w <= fuse_w:
            most_w, whose = circuit.limit_w, "of limit_w"
        if circuit.mean_limit_w > most_w:
            yield _warning(
                f"circuits[{circuit.id}].mean_limit_w",
                f"it never counts: the mean of {circuit.mean_limit_w:g} W is above the "
                f"{most_w:g} W {whose}; lower mean_limit_w or take it out",
            )


def _imbalance_lets_single_phases_charge(site: SiteConfig) -> Iterator[Problem]:
    allowed_a = site.imbalance_a
    held = [
        e for e in site.evses if e.phases == 1 and allowed_a is not None and e.min_a > allowed_a
    ]
    if held:
        yield _warning(
            "imbalance_a",
            f"EVSE {held[0].id!r} uses one phase and needs {held[0].min_a:g} A, so it charges only "
            f"while others load the other phases; {allowed_a:g} A is below that: raise imbalance_a "
            "(20 A in Germany, 16 A in Austria and Switzerland), or leave it out",
        )


def _warning(path: str, text: str) -> Problem:
    return Problem(path, text, Severity.WARNING)


ENERGY_RULES: tuple[Callable[[SiteConfig], Iterator[Problem]], ...] = (
    _dimming_finds_somebody,
    _surplus_is_measured,
    _mean_can_bind,
    _imbalance_lets_single_phases_charge,
)
