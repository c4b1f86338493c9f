"""The tree of circuits: who is above, who is below, what flows without the manager."""

from shared.contracts.site import Circuit, Evse, SiteConfig
from shared.units import Phase


def ancestors(site: SiteConfig, circuit_id: str) -> list[Circuit]:
    """Return a circuit and everything above it, from the bottom up. The tree must have no cycle."""
    by_id = {circuit.id: circuit for circuit in site.circuits}
    chain: list[Circuit] = []
    here = by_id.get(circuit_id)
    while here is not None:
        chain.append(here)
        here = by_id.get(here.parent) if here.parent is not None else None
    return chain


def own_and_below(site: SiteConfig, circuit_id: str) -> frozenset[str]:
    """Return the ids of a circuit and all below it."""
    children: dict[str, list[str]] = {}
    for circuit in site.circuits:
        if circuit.parent is not None:
            children.setdefault(circuit.parent, []).append(circuit.id)
    found: set[str] = set()
    pending = [circuit_id]
    while pending:
        here = pending.pop()
        if here not in found:
            found.add(here)
            pending.extend(children.get(here, ()))
    return frozenset(found)


def circuits_in_cycles(site: SiteConfig) -> list[str]:
    """Return the circuits that are their own ancestors."""
    parent_of = {circuit.id: circuit.parent for circuit in site.circuits}
    looping: list[str] = []
    for start, parent in parent_of.items():
        here, passed = parent, set[str]()
        while here is not None and here not in passed and here != start:
            passed.add(here)
            here = parent_of.get(here)
        if here == start:
            looping.append(start)
    return looping


def fallback_a(evse: Evse, phase: Phase) -> float:
    """Return what an EVSE may draw from a grid phase without the manager (S8).

    A single-phase box counts on the phase its L1 is wired to; when the wiring is unknown every
    current counts on every phase.
    """
    if evse.phases == 1 and evse.rotation is not None and evse.rotation[0] is not phase:
        return 0.0
    return evse.fallback_a
