"""Dimming, the sun, the quarter hour and imbalance: what the operator is warned of."""

from typing import Any

import pytest

from api.domain.problem import Severity, errors_in
from api.domain.site_rules import problems
from shared.contracts.site import SiteConfig

ACCESS = {"template": "eastron_sdm630", "host": "h"}


def site(
    evses: list[dict[str, Any]],
    *,
    main: dict[str, Any] | None = None,
    meters: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> SiteConfig:
    """Boxes at ``row`` below ``main``."""
    return SiteConfig.model_validate(
        {
            "circuits": [
                {"id": "main", "limit_a": 63} | (main or {}),
                {"id": "row", "parent": "main", "limit_a": 63},
            ],
            "stations": [{"id": f"S{i}", "protocol": "ocpp"} for i in range(len(evses))],
            "evses": [
                {"id": f"e{i}", "station": f"S{i}", "circuit": "row"} | evse
                for i, evse in enumerate(evses)
            ],
            "meters": [
                {"id": f"m{i}", "modbus": ACCESS} | meter for i, meter in enumerate(meters or [])
            ],
        }
        | settings
    )


SINGLE = {"phases": 1, "max_a": 16}


@pytest.mark.parametrize(
    ("claim", "config", "paths"),
    [
        ("dimming lowers an 11 kW box", site([{"max_a": 16}], dimming={}), []),
        ("dimming passes over a 3.7 kW box", site([SINGLE], dimming={}), ["dimming"]),
        ("one box above 4.2 kW is enough", site([SINGLE, {}], dimming={}), []),
        ("without dimming nobody asks", site([SINGLE]), []),
        ("the sun needs a meter", site([{"surplus_only": True}]), ["evses[e0].surplus_only"]),
        ("once for all", site([{}, *[{"surplus_only": True}] * 3]), ["evses[e1].surplus_only"]),
        (
            "the grid's meter tells the surplus",
            site([{"surplus_only": True}], meters=[{"circuit": "main"}]),
            [],
        ),
        (
            "that of another circuit does not",
            site([{"surplus_only": True}], meters=[{"circuit": "row"}]),
            ["evses[e0].surplus_only"],
        ),
        (
            "nor does one of consumption alone",
            site([{"surplus_only": True}], meters=[{"circuit": "main", "role": "consumption"}]),
            ["evses[e0].surplus_only"],
        ),
        (
            "one of generation does wherever it is",
            site([{"surplus_only": True}], meters=[{"circuit": "row", "role": "generation"}]),
            [],
        ),
        (
            "a mean below the limit of power binds",
            site([{}], main={"limit_w": 20_000, "mean_limit_w": 20_000}),
            [],
        ),
        (
            "a mean above it never does",
            site([{}], main={"limit_w": 20_000, "mean_limit_w": 20_001}),
            ["circuits[main].mean_limit_w"],
        ),
        (
            "a mean above the fuse never does",
            site([{}], main={"limit_w": 50_000, "mean_limit_w": 43_471}),
            ["circuits[main].mean_limit_w"],
        ),
        ("of the fuse alone it may be all", site([{}], main={"mean_limit_w": 43_470}), []),
        ("a single phase needs its minimum", site([SINGLE], imbalance_a=0), ["imbalance_a"]),
        ("less is too little", site([SINGLE], imbalance_a=5.9), ["imbalance_a"]),
        ("the minimum is enough", site([SINGLE], imbalance_a=6), []),
        ("three phases are no imbalance", site([{}], imbalance_a=0), []),
        ("without a limit any is allowed", site([SINGLE]), []),
    ],
)
def test_rule(claim: str, config: SiteConfig, paths: list[str]) -> None:
    found = problems(config)
    assert [problem.path for problem in found] == paths, claim
    assert all(problem.severity is Severity.WARNING for problem in found)
    assert not errors_in(found), "a doubtful site can be saved"


def test_who_waits_for_the_sun_is_counted() -> None:
    (found,) = problems(site([{"surplus_only": True}] * 3))
    assert "(and 2 more)" in found.message
    (alone,) = problems(site([{"surplus_only": True}]))
    assert "more)" not in alone.message
