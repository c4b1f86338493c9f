"""The rulebook of a site as a table: what is written, and what the operator is told."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from api.domain.problem import Severity, errors_in
from api.domain.site_rules import problems
from shared.contracts.site import SiteConfig
from shared.passwords import hash_key, hash_password

CHARGER = {"template": "cfos_power_brain", "host": "h"}
METER = {"template": "eastron_sdm630", "host": "h"}
GOOD: dict[str, Any] = {
    "circuits": [
        {"id": "main", "limit_a": 63},
        {"id": "row", "parent": "main", "limit_a": 32},
    ],
    "stations": [
        {"id": "Box-1", "protocol": "ocpp"},
        {"id": "Box-2", "protocol": "modbus", "modbus": CHARGER},
    ],
    "evses": [
        {"id": "a", "station": "Box-1", "connector": 1, "circuit": "row"},
        {"id": "b", "station": "Box-1", "connector": 2, "circuit": "row"},
        {"id": "c", "station": "Box-2", "circuit": "main"},
    ],
    "meters": [{"id": "m", "circuit": "main", "modbus": METER}],
    "tokens": [{"id": "04AA"}],
}
BACKEND = {"url": "wss://backend.example/", "client_id": "G1"}

Change = Callable[[dict[str, Any]], object]


def set_in(*path: str | int, value: Any) -> Change:
    """Return a change that writes one value."""

    def change(site: dict[str, Any]) -> None:
        here: Any = site
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = value

    return change


def append(name: str, **part: Any) -> Change:
    """Return a change that adds one part."""
    return lambda site: site[name].append(part)


def every(*changes: Change) -> Change:
    """Return all changes as one."""
    return lambda site: [change(site) for change in changes]


def site_with(change: Change) -> SiteConfig:
    document = deepcopy(GOOD)
    change(document)
    return SiteConfig.model_validate(document)


CASES: list[tuple[str, Change, list[str]]] = [
    ("a good site has no problems", lambda _: None, []),
    (
        "ids are unique",
        append("circuits", id="row", parent="main", limit_a=1),
        ["circuits[row].id"],
    ),
    ("EVSE ids are unique", set_in("evses", 1, "id", value="a"), ["evses[a].id"]),
    (
        "station ids are unique in any case",
        append("stations", id="BOX-1", protocol="ocpp"),
        ["stations[box-1].id"],
    ),
    ("token ids are unique in any case", append("tokens", id="04aa"), ["tokens[04aa].id"]),
    (
        "a site has a root",
        set_in("circuits", 0, "parent", value="row"),
        ["circuits", "circuits[main].parent", "circuits[row].parent"],
    ),
    (
        "a site has one root",
        append("circuits", id="other", limit_a=1),
        ["circuits[other].parent"],
    ),
    (
        "parents exist",
        set_in("circuits", 1, "parent", value="nowhere"),
        ["circuits[row].parent"],
    ),
    (
        "no circuit is its own parent",
        append("circuits", id="x", parent="x", limit_a=1),
        ["circuits[x].parent"],
    ),
    (
        "a circuit below a loop is not in it",
        every(
            append("circuits", id="x", parent="y", limit_a=1),
            append("circuits", id="y", parent="x", limit_a=1),
            append("circuits", id="z", parent="x", limit_a=1),
        ),
        ["circuits[x].parent", "circuits[y].parent"],
    ),
    ("groups of EVSEs exist", set_in("evses", 0, "group", value="q"), ["evses[a].group"]),
    (
        "groups have names of their own",
        set_in("groups", value=[{"id": "fleet"}, {"id": "fleet"}]),
        ["groups[fleet].id"],
    ),
    (
        "fallback currents fit a limit of power",
        every(
            set_in("circuits", 0, "limit_w", value=4_000),
            set_in("evses", 0, "fallback_a", value=6),
        ),
        ["circuits[main].limit_w"],
    ),
    ("circuits of EVSEs exist", set_in("evses", 0, "circuit", value="q"), ["evses[a].circuit"]),
    ("stations of EVSEs exist", set_in("evses", 0, "station", value="q"), ["evses[a].station"]),
    (
        "stations are written in the same case",
        set_in("evses", 2, "station", value="BOX-2"),
        ["evses[c].station"],
    ),
    ("circuits of meters exist", set_in("meters", 0, "circuit", value="q"), ["meters[m].circuit"]),
    (
        "an outlet is one EVSE",
        set_in("evses", 1, "connector", value=1),
        ["evses[b].connector"],
    ),
    (
        "EVSEs of one protocol share a backend's charge point",
        every(
            set_in("evses", 0, "backend", value=BACKEND),
            set_in("evses", 1, "backend", value=BACKEND),
        ),
        [],
    ),
    (
        "EVSEs of two protocols do not",
        every(
            set_in("evses", 0, "backend", value=BACKEND),
            set_in("evses", 2, "backend", value=BACKEND),
        ),
        ["evses[c].backend.client_id"],
    ),
    (
        "one charge point has one password",
        every(
            set_in("evses", 0, "backend", value=BACKEND),
            set_in("evses", 1, "backend", value=BACKEND | {"password": "x"}),
        ),
        ["evses[b].backend.password"],
    ),
    (
        "a mask without a stored password is no password",
        set_in("evses", 0, "backend", value=BACKEND | {"password": "***"}),
        ["evses[a].backend.password"],
    ),
    (
        "passwords do not hide in URLs",
        set_in("evses", 0, "backend", value=BACKEND | {"url": "wss://me:secret@backend/"}),
        ["evses[a].backend.url"],
    ),
    (
        "a hash of a station is a hash",
        set_in("stations", 0, "password_hash", value="secret"),
        ["stations[Box-1].password_hash"],
    ),
    (
        "a hash of the server is a hash",
        set_in("ocpp_server", value={"password_hash": "***"}),
        ["ocpp_server.password_hash"],
    ),
    (
        "a pending hash is a hash",
        set_in("stations", 0, "next_password_hash", value="***"),
        ["stations[Box-1].next_password_hash"],
    ),
    (
        "the hash of a generated key is accepted",
        set_in("stations", 0, "password_hash", value=hash_key("00" * 20)),
        [],
    ),
    (
        "a real hash is accepted",
        set_in("stations", 0, "password_hash", value=hash_password("secret")),
        [],
    ),
    (
        "fallbacks fill a fuse up to its limit",
        every(
            set_in("evses", 0, "fallback_a", value=16), set_in("evses", 1, "fallback_a", value=16)
        ),
        [],
    ),
    (
        "fallbacks below a fuse do not exceed it",
        every(
            set_in("evses", 0, "fallback_a", value=16), set_in("evses", 1, "fallback_a", value=16.1)
        ),
        ["circuits[row].limit_a.L1"],
    ),
    (
        "other consumers count",
        every(
            set_in("evses", 0, "fallback_a", value=16),
            set_in("circuits", 1, "uncontrolled_a", value=17),
        ),
        ["circuits[row].limit_a.L1"],
    ),
    (
        "other consumers of a circuit count on every fuse above",
        every(
            set_in("evses", 2, "fallback_a", value=32),
            set_in("circuits", 1, "uncontrolled_a", value=32),
        ),
        ["circuits[main].limit_a.L1"],
    ),
    (
        "fallbacks count on every fuse above",
        every(
            set_in("evses", 0, "fallback_a", value=32),
            set_in("evses", 2, "fallback_a", value=32),
        ),
        ["circuits[main].limit_a.L1"],
    ),
    (
        "single-phase boxes count on the phase they are wired to",
        every(
            set_in("evses", 0, "fallback_a", value=20),
            set_in("evses", 0, "phases", value=1),
            set_in("evses", 1, "fallback_a", value=20),
            set_in("evses", 1, "phases", value=1),
            set_in("evses", 1, "rotation", value=["L2", "L3", "L1"]),
        ),
        [],
    ),
    (
        "two single-phase boxes on L3 exceed L3",
        every(
            set_in("evses", 0, "fallback_a", value=20),
            set_in("evses", 0, "phases", value=1),
            set_in("evses", 0, "rotation", value=["L3", "L1", "L2"]),
            set_in("evses", 1, "fallback_a", value=20),
            set_in("evses", 1, "phases", value=1),
            set_in("evses", 1, "rotation", value=["L3", "L2", "L1"]),
        ),
        ["circuits[row].limit_a.L3"],
    ),
    (
        "unknown wiring counts on every phase",
        every(
            set_in("evses", 0, "fallback_a", value=20),
            set_in("evses", 0, "phases", value=1),
            set_in("evses", 0, "rotation", value=None),
            set_in("evses", 1, "fallback_a", value=20),
            set_in("evses", 1, "phases", value=1),
            set_in("evses", 1, "rotation", value=["L2", "L3", "L1"]),
        ),
        ["circuits[row].limit_a.L2"],
    ),
    ("any place of the world is a time zone", set_in("time_zone", value="Asia/Kolkata"), []),
    ("UTC is a time zone", set_in("time_zone", value="UTC"), []),
    *(
        (f"{name!r} is no time zone", set_in("time_zone", value=name), ["time_zone"])
        for name in ("Berlin", "Europe", "Europe/Bärlin", "../etc/passwd", "/etc/passwd", "CET+1")
    ),
    ("a model may be named", set_in("stations", 0, "model", value="go-e"), []),
    (
        "a model that nobody knows is none",
        set_in("stations", 0, "model", value="Go-E"),
        ["stations[Box-1].model"],
    ),
    (
        "Modbus has templates, not models",
        set_in("stations", 1, "model", value="anything"),
        [],
    ),
    (
        "what faults at 0 A needs a fallback at each of its outlets",
        every(
            set_in("stations", 0, "model", value="evbox-elvi"),
            set_in("evses", 0, "fallback_a", value=6),
        ),
        ["evses[b].fallback_a"],
    ),
    (
        "with fallbacks it is right",
        every(
            set_in("stations", 0, "model", value="evbox-elvi"),
            set_in("evses", 0, "fallback_a", value=6),
            set_in("evses", 1, "fallback_a", value=6),
        ),
        [],
    ),
]


@pytest.mark.parametrize(("claim", "change", "paths"), CASES, ids=[case[0] for case in CASES])
def test_rule(claim: str, change: Change, paths: list[str]) -> None:
    found = problems(site_with(change))
    assert [problem.path for problem in found] == paths, claim
    assert errors_in(found) == found
    assert all(len(problem.message) > 20 for problem in found)


@pytest.mark.parametrize("limit", [{"limit_a": 32}, {"limit_a": 63, "limit_w": 22_000}])
@pytest.mark.parametrize(("others_a", "named"), [(31, "fallback_a"), (33, "uncontrolled_a")])
def test_a_fuse_that_is_too_small_names_what_is_to_be_lowered(
    limit: dict[str, Any], others_a: float, named: str
) -> None:
    row = {"id": "row", "parent": "main", "uncontrolled_a": others_a, **limit}
    boxes = set_in("evses", 0, "fallback_a", value=6)
    (found,) = problems(site_with(every(set_in("circuits", 1, value=row), boxes)))
    assert f"lower {named} of" in found.message


def test_who_names_no_model_is_told_all_that_there_are() -> None:
    (found,) = problems(site_with(set_in("stations", 0, "model", value="goe")))
    assert all(name in found.message for name in ("go-e", "growatt", "mennekes-acu"))


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        (
            set_in("stations", 1, "modbus", "template", value="keba_p30"),
            "stations[Box-2].modbus.template",
            "there is no Modbus template 'keba_p30': for a charger name one of cfos_power_brain",
        ),
        (
            set_in("stations", 1, "modbus", "template", value="eastron_sdm630"),
            "stations[Box-2].modbus.template",
            "'eastron_sdm630' is for a meter: for a charger name one of cfos_power_brain",
        ),
        (
            set_in("meters", 0, "modbus", "template", value="cfos_power_brain"),
            "meters[m].modbus.template",
            "'cfos_power_brain' is for a charger: for a meter name one of eastron_sdm630",
        ),
    ],
    ids=["unknown", "meter as charger", "charger as meter"],
)
def test_who_names_no_template_of_the_kind_is_told_all_that_there_are(
    change: Change, path: str, told: str
) -> None:
    (found,) = problems(site_with(change))
    assert (found.path, found.severity) == (path, Severity.ERROR)
    assert told in found.message


@pytest.mark.parametrize(
    "change",
    [
        set_in("circuits", 1, "limit_a", value=5),
        set_in("circuits", 1, "guard_a", value=27),
        set_in("circuits", 1, "limit_w", value=1_300),
        every(
            set_in("groups", value=[{"id": "g", "limit_a": 5}]),
            set_in("evses", 0, "group", value="g"),
            set_in("evses", 1, "group", value="g"),
        ),
    ],
    ids=["fuse", "guard", "power", "group"],
)
def test_an_evse_that_can_never_charge_is_a_warning_only(change: Change) -> None:
    found = problems(site_with(change))
    assert [(p.path, p.severity) for p in found] == [
        ("evses[a].min_a", Severity.WARNING),
        ("evses[b].min_a", Severity.WARNING),
    ]
    assert errors_in(found) == []


@pytest.mark.parametrize(
    ("change", "path", "because"),
    [
        (set_in("stations", 0, "model", value="go-e"), "evses[a].switches_phases", "a go-e cannot"),
        (set_in("evses", 0, "phases", value=1), "evses[a].switches_phases", "wired to one phase"),
        (
            every(
                set_in("evses", 2, "switches_phases", value=True),
                set_in("stations", 1, "modbus", "template", value="t"),
            ),
            "evses[c].switches_phases",
            "the template t does not say how",
        ),
    ],
    ids=["model", "wiring", "template"],
)
def test_a_box_that_cannot_switch_its_phases_is_a_warning(
    change: Change, path: str, because: str
) -> None:
    switching = set_in("evses", 0, "switches_phases", value=True)
    assert problems(site_with(switching)) == [], "an unknown box is believed"
    everything = problems(site_with(every(switching, change)))
    found = [problem for problem in everything if problem not in errors_in(everything)]
    assert [problem.path for problem in found] == [path]
    assert because in found[0].message
    able = set_in("evses", 2, "switches_phases", value=True)
    assert problems(site_with(able)) == []


def test_a_single_phase_evse_needs_its_minimum_on_its_own_phase_only() -> None:
    limit = {"L1": 5, "L2": 32, "L3": 32}
    on_l2 = every(
        set_in("circuits", 1, "limit_a", value=limit),
        set_in("evses", 0, "phases", value=1),
        set_in("evses", 0, "rotation", value=["L2", "L3", "L1"]),
    )
    assert [problem.path for problem in problems(site_with(on_l2))] == ["evses[b].min_a"]


def test_mistakes_in_the_tree_hide_the_rules_that_need_one() -> None:
    both = every(
        set_in("circuits", 1, "parent", value="row"), set_in("evses", 0, "fallback_a", value=32)
    )
    assert [problem.path for problem in problems(site_with(both))] == ["circuits[row].parent"]
