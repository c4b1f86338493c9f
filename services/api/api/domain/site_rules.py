"""What a site must fulfil beyond the shape of its fields: references, the circuit tree, fuses.

Pure: ``problems(site)`` returns findings and changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf

from api.domain.energy_rules import ENERGY_RULES
from api.domain.phase_rules import PHASE_RULES
from api.domain.problem import Problem, Severity
from api.domain.site_secrets import MASK
from api.domain.site_tree import ancestors, circuits_in_cycles, fallback_a, own_and_below
from api.domain.template_rules import TEMPLATE_RULES
from shared.contracts.site import Evse, SiteConfig
from shared.passwords import is_hash
from shared.station_models import FAULTS_AT_ZERO, STATION_MODELS
from shared.time_zone import zone_named
from shared.units import NOMINAL_VOLTAGE_V, PHASES, Phase

TOLERANCE_A = 1e-6
"""Sums of floats may differ from the limit by this much."""

Rule = Callable[[SiteConfig], Iterator[Problem]]


def problems(site: SiteConfig) -> list[Problem]:
    """Return everything that is wrong or doubtful, in the order of the document.

    Rules about the tree are silent while the tree itself is broken, so that one mistake does not
    show as many.
    """
    found = [problem for rule in REFERENCE_RULES for problem in rule(site)]
    if not found:
        found = [problem for rule in FUSE_RULES for problem in rule(site)]
    return found


def _unique_ids(site: SiteConfig) -> Iterator[Problem]:
    lists = {
        "circuits": [part.id for part in site.circuits],
        "groups": [part.id for part in site.groups],
        "evses": [part.id for part in site.evses],
        "meters": [part.id for part in site.meters],
        # Stations and tokens are compared without regard to case (OCPP CiString).
        "stations": [part.id.casefold() for part in site.stations],
        "tokens": [part.id.casefold() for part in site.tokens],
    }
    for name, ids in lists.items():
        for part_id, count in Counter(ids).items():
            if count > 1:
                yield Problem(
                    f"{name}[{part_id}].id",
                    f"the id {part_id!r} is used {count} times: give each its own "
                    "(upper and lower case count as equal for stations and tokens)",
                )


def _one_root(site: SiteConfig) -> Iterator[Problem]:
    roots = [circuit.id for circuit in site.circuits if circuit.parent is None]
    if not roots:
        yield Problem("circuits", "give exactly one circuit no parent: it is the grid connection")
    for extra in roots[1:]:
        yield Problem(
            f"circuits[{extra}].parent",
            f"name a parent, for example {roots[0]!r}: only one circuit, the grid connection, "
            "has none",
        )


def _parents_exist(site: SiteConfig) -> Iterator[Problem]:
    ids = {circuit.id for circuit in site.circuits}
    for circuit in site.circuits:
        if circuit.parent is not None and circuit.parent not in ids:
            yield _missing(f"circuits[{circuit.id}].parent", "circuit", circuit.parent)


def _no_cycles(site: SiteConfig) -> Iterator[Problem]:
    for circuit_id in circuits_in_cycles(site):
        yield Problem(
            f"circuits[{circuit_id}].parent",
            f"circuit {circuit_id!r} is its own ancestor: choose a parent that is not below it",
        )


def _references_exist(site: SiteConfig) -> Iterator[Problem]:
    circuits = {circuit.id for circuit in site.circuits}
    groups = {group.id for group in site.groups}
    for evse in site.evses:
        if evse.circuit not in circuits:
            yield _missing(f"evses[{evse.id}].circuit", "circuit", evse.circuit)
        if evse.group is not None and evse.group not in groups:
            yield _missing(f"evses[{evse.id}].group", "group", evse.group)
        yield from _station_of(evse, site)
    for meter in site.meters:
        if meter.circuit not in circuits:
            yield _missing(f"meters[{meter.id}].circuit", "circuit", meter.circuit)


def _station_of(evse: Evse, site: SiteConfig) -> Iterator[Problem]:
    station = site.station(evse.station)
    if station is None:
        yield _missing(f"evses[{evse.id}].station", "station", evse.station)
    elif station.id != evse.station:
        yield Problem(
            f"evses[{evse.id}].station",
            f"write the station as {station.id!r}, in the same upper and lower case as in stations",
        )


def _missing(path: str, kind: str, name: str) -> Problem:
    return Problem(path, f"{kind} {name!r} does not exist: add it to {kind}s or name another")


def _connectors_are_unique(site: SiteConfig) -> Iterator[Problem]:
    taken: dict[tuple[str, int], str] = {}
    for evse in site.evses:
        outlet = (evse.station.casefold(), evse.connector)
        first = taken.setdefault(outlet, evse.id)
        if first != evse.id:
            yield Problem(
                f"evses[{evse.id}].connector",
                f"connector {evse.connector} of station {evse.station!r} is EVSE {first!r} "
                "already: choose another connector",
            )


def _backends_are_of_one_kind(site: SiteConfig) -> Iterator[Problem]:
    """EVSEs with one url and client id are one charge point, relayed or played, not both."""
    first_of: dict[tuple[str, str], Evse] = {}
    for evse in site.evses:
        if evse.backend is None:
            continue
        first = first_of.setdefault((evse.backend.url, evse.backend.client_id), evse)
        if _protocol(site, first) != _protocol(site, evse):
            yield Problem(
                f"evses[{evse.id}].backend.client_id",
                f"EVSE {first.id!r} uses the same backend and client id with a station of another "
                "protocol: give this EVSE a client id of its own",
            )
        elif first.backend is not None and first.backend.password != evse.backend.password:
            yield Problem(
                f"evses[{evse.id}].backend.password",
                f"EVSE {first.id!r} uses the same backend and client id with another password: "
                "one charge point has one password",
            )


def _client_certificates_are_shown(site: SiteConfig) -> Iterator[Problem]:
    """S21. Whether the certificate is there is watched: see ``certificate_alarms``."""
    for evse in site.evses:
        backend = evse.backend
        if backend is None or backend.client_certificate is None:
            continue
        if backend.url.startswith("ws://"):
            yield Problem(
                f"evses[{evse.id}].backend.client_certificate",
                "a certificate is shown in TLS only: write the url with wss://, or take the "
                "certificate out",
                Severity.WARNING,
            )


def _protocol(site: SiteConfig, evse: Evse) -> str | None:
    station = site.station(evse.station)
    return None if station is None else station.protocol


def _secrets_are_secrets(site: SiteConfig) -> Iterator[Problem]:
    hashes = {f"stations[{s.id}].password_hash": s.password_hash for s in site.stations}
    for station in site.stations:
        hashes[f"stations[{station.id}].next_password_hash"] = station.next_password_hash
    hashes["ocpp_server.password_hash"] = site.ocpp_server.password_hash
    for path, stored in hashes.items():
        if stored is not None and not is_hash(stored):
            yield Problem(path, "this is no hash: send the password itself as `password`")
    for evse in site.evses:
        if evse.backend is None:
            continue
        if evse.backend.password == MASK:
            yield Problem(
                f"evses[{evse.id}].backend.password",
                f"{MASK} stands for the stored password, and none is stored: write the password",
            )
        if "@" in evse.backend.url.partition("://")[2].partition("/")[0]:
            yield Problem(
                f"evses[{evse.id}].backend.url",
                "take user and password out of the URL: they belong in client_id and password",
            )


def _time_zone_is_known(site: SiteConfig) -> Iterator[Problem]:
    if zone_named(site.time_zone) is None:
        yield Problem(
            "time_zone",
            f"there is no time zone {site.time_zone!r}: name one of the IANA list, for example "
            "'Europe/Berlin', 'Europe/Zurich' or 'UTC'",
        )


def _models_are_known(site: SiteConfig) -> Iterator[Problem]:
    for station in site.stations:
        named = station.protocol == "ocpp" and station.model is not None
        if named and station.model not in STATION_MODELS:
            yield Problem(
                f"stations[{station.id}].model",
                f"there is no model {station.model!r}: name one of {', '.join(STATION_MODELS)}, or "
                "leave it out, then the station is recognised when it boots",
            )


def _models_have_their_fallback(site: SiteConfig) -> Iterator[Problem]:
    """Field notes 5.5, 39: such a box draws its minimum, so the fuses have to count it."""
    for evse in site.evses:
        station = site.station(evse.station)
        if station is None or station.model not in FAULTS_AT_ZERO or evse.fallback_a:
            continue
        yield Problem(
            f"evses[{evse.id}].fallback_a",
            f"a {station.model} faults at 0 A and is left at its minimum: give it a fallback_a of "
            f"at least its min_a, {evse.min_a:g} A",
        )


def _fallbacks_fit(site: SiteConfig) -> Iterator[Problem]:
    """S8: what all boxes may draw without the manager must fit every fuse, on every phase."""
    for circuit in site.circuits:
        members = own_and_below(site, circuit.id)
        others_a = sum(c.uncontrolled_a for c in site.circuits if c.id in members)
        for phase in PHASES:
            boxes_a = sum(fallback_a(e, phase) for e in site.evses if e.circuit in members)
            total_a = boxes_a + others_a
            limit_a = circuit.limit_a.on(phase)
            if total_a > limit_a + TOLERANCE_A:
                yield Problem(
                    f"circuits[{circuit.id}].limit_a.{phase.value}",
                    f"the fallback currents below ({boxes_a:g} A) and uncontrolled_a "
                    f"({others_a:g} A) need {total_a:g} A on {phase.value}, the "
                    f"limit is {limit_a:g} A: {_remedy(others_a, limit_a)}",
                )
                break


def _fallbacks_fit_power(site: SiteConfig) -> Iterator[Problem]:
    """S8, for limits of power: what flows without the manager, on all phases together."""
    for circuit in site.circuits:
        if circuit.limit_w is None:
            continue
        members = own_and_below(site, circuit.id)
        others_a = 3 * sum(c.uncontrolled_a for c in site.circuits if c.id in members)
        boxes_a = sum(e.phases * e.fallback_a for e in site.evses if e.circuit in members)
        boxes_w, others_w = NOMINAL_VOLTAGE_V * boxes_a, NOMINAL_VOLTAGE_V * others_a
        if boxes_w > 0 and boxes_w + others_w > circuit.limit_w + TOLERANCE_A:
            yield Problem(
                f"circuits[{circuit.id}].limit_w",
                f"the fallback currents below ({boxes_w:g} W) and uncontrolled_a ({others_w:g} W) "
                f"need more than the limit of {circuit.limit_w:g} W: "
                f"{_remedy(others_w, circuit.limit_w)}",
            )


def _remedy(others: float, limit: float) -> str:
    """Both in A or both in W."""
    if others > limit + TOLERANCE_A:
        return "lower uncontrolled_a of this circuit or of those below, it alone is too much"
    return "lower fallback_a of EVSEs"


def _minimum_fits(site: SiteConfig) -> Iterator[Problem]:
    groups = {group.id: group for group in site.groups}
    for evse in site.evses:
        for circuit in ancestors(site, evse.circuit):
            phases = _used_phases(evse)
            least_a = min(circuit.limit_a.on(phase) - circuit.guard_a for phase in phases)
            yield from _never_charges(evse, f"circuit {circuit.id!r}", least_a, circuit.limit_w)
        group = None if evse.group is None else groups.get(evse.group)
        if group is not None:
            limit_a = group.limit_a
            least_a = inf if limit_a is None else min(limit_a.on(p) for p in _used_phases(evse))
            yield from _never_charges(evse, f"group {group.id!r}", least_a, group.limit_w)


def _used_phases(evse: Evse) -> tuple[Phase, ...]:
    if evse.phases == 1 and evse.rotation is not None:
        return evse.rotation[:1]
    return PHASES


def _never_charges(
    evse: Evse, whose: str, least_a: float, limit_w: float | None
) -> Iterator[Problem]:
    """A car may use one phase of a three-phase box, so for power one phase counts."""
    if limit_w is not None:
        least_a = min(least_a, limit_w / NOMINAL_VOLTAGE_V)
    if evse.min_a > least_a:
        yield Problem(
            f"evses[{evse.id}].min_a",
            f"it can never charge: min_a {evse.min_a:g} A is above the {least_a:g} A of {whose}; "
            "lower min_a or raise the limit",
            Severity.WARNING,
        )


REFERENCE_RULES: tuple[Rule, ...] = (
    _unique_ids,
    _one_root,
    _parents_exist,
    _no_cycles,
    _references_exist,
    _connectors_are_unique,
    _backends_are_of_one_kind,
    _secrets_are_secrets,
)
FUSE_RULES: tuple[Rule, ...] = (
    _fallbacks_fit,
    _fallbacks_fit_power,
    _minimum_fits,
    _client_certificates_are_shown,
    _time_zone_is_known,
    _models_are_known,
    _models_have_their_fallback,
    *TEMPLATE_RULES,
    *PHASE_RULES,
    *ENERGY_RULES,
)
