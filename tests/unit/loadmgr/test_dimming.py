"""Section 14a EnWG: the minimum, who may say what, silence, and the way back."""

from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from loadmgr.domain.dimming import NO_NUMBER_W, Allowed, DimmingRecord, Terms, minimum_w
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.site import Dimming, Evse, SiteConfig
from shared.units import PhaseAmps

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
TERMS = Terms(
    minimum_w=21_210.0, full_w=110_000.0, others_w=0.0, silent_after_s=300.0, release_s=300.0
)
FREE = Allowed(power_w=inf)


def box(number: int, phases: int = 3, max_a: float = 16.0, *, enabled: bool = True) -> Evse:
    return Evse.model_validate(
        {
            "id": f"e{number}",
            "station": f"s{number}",
            "circuit": "main",
            "phases": phases,
            "max_a": max_a,
            "enabled": enabled,
        }
    )


def boxes(count: int) -> list[Evse]:
    return [box(number) for number in range(count)]


def word(
    limit_w: float | None = None,
    *,
    source: str = "box",
    limit_a: PhaseAmps | None = None,
    expires_s: float | None = None,
    at_s: float = 0.0,
) -> LimitChanged:
    """A word said ``at_s`` seconds after the start."""
    return LimitChanged(
        scope=LimitScope.DIMMING,
        target="grid",
        source=source,
        limit_a=limit_a,
        limit_w=limit_w,
        expires_at=None if expires_s is None else START + timedelta(seconds=expires_s),
        changed_at=START + timedelta(seconds=at_s),
    )


class Operator:
    """A record with a clock that begins at ``START``."""

    def __init__(self, terms: Terms = TERMS) -> None:
        self.terms, self.record = terms, DimmingRecord()

    def says(self, at_s: float, told: LimitChanged) -> bool:
        """Let a source say something new."""
        said_at = START + timedelta(seconds=at_s)
        return self.is_told(at_s, told.model_copy(update={"changed_at": said_at}))

    def is_told(self, at_s: float, told: LimitChanged) -> bool:
        """Hear a word that may be a repetition of what was said before."""
        return self.record.hear(self.terms, told, START.timestamp() + at_s)

    def allows(self, at_s: float, generation_w: float = 0.0) -> Allowed:
        now_s = START.timestamp() + at_s
        return self.record.allowed(self.terms, now_s, generation_w=generation_w)


@pytest.mark.parametrize(
    ("dimming", "count", "expected_w"),
    [
        ({}, 0, 0.0),
        ({}, 1, 4_200.0),
        ({}, 2, 7_560.0),
        ({}, 3, 10_500.0),
        ({}, 4, 13_020.0),
        ({}, 5, 15_120.0),
        ({}, 6, 16_800.0),
        ({}, 7, 18_060.0),
        ({}, 8, 18_900.0),
        ({}, 9, 19_320.0),
        ({}, 10, 21_210.0),
        ({}, 100, 191_310.0),
        ({"heat_pump_w": 11_000}, 1, 7_560.0),
        ({"heat_pump_w": 11_001}, 1, 0.4 * 11_001 + 0.8 * 4_200),
        ({"heat_pump_w": 20_000, "cooling_w": 30_000}, 1, 12_000 + 2 * 0.75 * 4_200),
        ({"heat_pump_w": 4_200}, 1, 4_200.0),
        ({"cooling_w": 4_201}, 1, 7_560.0),
        ({"cooling_w": 25_000}, 0, 10_000.0),
        ({"other_devices": 2}, 1, 10_500.0),
    ],
)
def test_minimum(dimming: dict[str, float], count: int, expected_w: float) -> None:
    found_w = minimum_w(Dimming.model_validate(dimming), boxes(count))
    assert found_w == pytest.approx(expected_w)


def test_a_box_of_four_kilowatts_or_less_is_no_device() -> None:
    small, large = box(1, phases=1, max_a=16), box(2, phases=1, max_a=20)
    assert minimum_w(Dimming(), [small]) == 0.0
    assert minimum_w(Dimming(), [small, large]) == 4_200.0


def test_terms_of_a_site() -> None:
    site = SiteConfig.model_validate(
        {
            "circuits": [{"id": "main", "limit_a": 63}],
            "evses": [box(1), box(2, enabled=False), box(3, phases=1)],
            "dimming": {"others_w": 2_000, "silent_after_s": 60, "release_s": 0},
        }
    )
    assert Terms.of(site) == Terms(
        minimum_w=7_560.0, full_w=24_080.0, others_w=2_000.0, silent_after_s=60.0, release_s=0.0
    )
    assert Terms.of(site.model_copy(update={"dimming": None})) is None


def test_who_never_spoke_dims_nothing() -> None:
    assert Operator().allows(1_000) == FREE


@pytest.mark.parametrize(
    ("told", "expected_w", "because"),
    [
        (word(30_000), 30_000, "the number received wins"),
        (word(5_000), 5_000, "even below the formula"),
        (word(0), 0, "even if it is zero"),
        (word(NO_NUMBER_W), 21_210, "a relay names no number"),
        (word(nan), 21_210, "a number that cannot be read is none"),
        (word(inf), 21_210, "nor is an infinite one a permission"),
        (word(limit_a=PhaseAmps(l1=10, l2=10, l3=20)), 9_200, "currents of all phases are a power"),
        (word(limit_a=PhaseAmps(l1=10, l2=10)), 21_210, "of two phases they are none"),
        (word(limit_a=PhaseAmps()), 21_210, "nor are currents without numbers"),
        (word(limit_a=PhaseAmps(l1=10, l2=-1, l3=10)), 21_210, "nor with a wrong one"),
        (word(8_000, limit_a=PhaseAmps(l1=10, l2=10, l3=10)), 6_900, "the least counts"),
        (word(8_000, limit_a=PhaseAmps()), 8_000, "of what can be read"),
    ],
)
def test_what_a_word_means(told: LimitChanged, expected_w: float, because: str) -> None:
    operator = Operator()
    assert operator.says(0, told)
    assert operator.allows(1) == Allowed(power_w=expected_w, source="box"), because


def test_of_several_sources_the_least_counts_and_one_end_is_not_the_end() -> None:
    operator = Operator()
    operator.says(0, word(8_000, source="relay"))
    operator.says(0, word(30_000, source="box"))
    assert operator.allows(1) == Allowed(power_w=8_000, source="relay")
    operator.says(2, word(source="relay"))
    assert operator.allows(3) == Allowed(power_w=30_000, source="box")


def test_the_sun_comes_on_top_and_others_keep_their_part() -> None:
    operator = Operator(
        Terms(minimum_w=21_210, full_w=110_000, others_w=3_000, silent_after_s=300, release_s=300)
    )
    operator.says(0, word(10_000))
    assert operator.allows(1, generation_w=5_000).power_w == 12_000
    assert operator.allows(1, generation_w=-5_000).power_w == 7_000
    operator.says(2, word(1_000))
    assert operator.allows(3).power_w == 0.0


def test_a_repeated_word_changes_nothing() -> None:
    operator = Operator()
    assert operator.says(0, word(8_000))
    assert not operator.says(15, word(8_000))
    assert operator.says(30, word(9_000))


def test_the_way_back_is_gradual() -> None:
    operator = Operator()
    operator.says(0, word(20_000))
    assert operator.says(100, word())
    assert operator.allows(100) == Allowed(power_w=20_000, source="box")
    assert operator.allows(250, generation_w=1_000) == Allowed(power_w=66_000, source="box")
    assert operator.allows(399.9).power_w < 110_000
    assert operator.allows(400) == FREE


def test_repeating_the_end_does_not_begin_the_way_back_anew() -> None:
    operator = Operator()
    operator.says(0, word(20_000))
    operator.says(100, word())
    assert not operator.says(115, word())
    assert operator.allows(250).power_w == 65_000


def test_dimmed_again_on_the_way_back_the_word_counts_at_once() -> None:
    operator = Operator()
    operator.says(0, word(20_000))
    operator.says(100, word())
    operator.says(200, word(5_000))
    assert operator.allows(200).power_w == 5_000
    operator.says(210, word())
    assert operator.allows(210).power_w == 5_000


def test_a_higher_number_counts_at_once() -> None:
    operator = Operator()
    operator.says(0, word(5_000))
    operator.says(10, word(40_000))
    assert operator.allows(10).power_w == 40_000


@pytest.mark.parametrize(("release_s", "limit_w"), [(0.0, 5_000.0), (300.0, 150_000.0)])
def test_without_a_way_back_it_ends_at_once(release_s: float, limit_w: float) -> None:
    terms = Terms(
        minimum_w=21_210, full_w=110_000, others_w=0, silent_after_s=300, release_s=release_s
    )
    operator = Operator(terms)
    operator.says(0, word(limit_w))
    operator.says(10, word())
    assert operator.allows(10) == FREE


@pytest.mark.parametrize("last", [word(8_000), word()], ids=["dimmed", "not dimmed"])
def test_silence_dims_by_the_formula_until_a_word_comes(last: LimitChanged) -> None:
    operator = Operator()
    operator.says(0, last)
    before = operator.allows(300)
    assert before.power_w in {8_000, inf}
    assert operator.allows(301) == Allowed(power_w=21_210, source="box (fail-safe)")
    assert operator.says(400, word())
    assert operator.allows(400).power_w == 21_210
    assert operator.allows(550).power_w == pytest.approx((21_210 + 110_000) / 2)
    assert operator.allows(700) == FREE


def test_a_repetition_of_an_old_word_breaks_no_silence() -> None:
    operator = Operator()
    operator.says(0, word(8_000))
    assert not operator.is_told(290, word(8_000))
    assert operator.allows(301).source == "box (fail-safe)"


def test_a_source_whose_clock_is_ahead_falls_silent_all_the_same() -> None:
    operator = Operator()
    operator.is_told(0, word(8_000, at_s=5_000))
    assert operator.allows(301).source == "box (fail-safe)"


def test_a_word_that_has_expired_dims_by_the_formula() -> None:
    operator = Operator()
    operator.says(0, word(8_000, expires_s=60))
    assert operator.allows(59).power_w == 8_000
    assert operator.allows(60).power_w == 21_210
    operator.says(70, word(expires_s=130, at_s=70))
    assert operator.allows(130).power_w == 21_210


def test_a_source_can_say_farewell() -> None:
    operator = Operator()
    operator.says(0, word(8_000))
    operator.says(10, word(expires_s=10, at_s=10))
    assert operator.record.words == {}
    assert operator.allows(10).power_w == 8_000, "the way back is gradual all the same"
    assert operator.allows(10_000) == FREE


@pytest.mark.parametrize(
    ("late", "allowed_w"),
    [
        (word(at_s=5), 8_000),
        (word(expires_s=5, at_s=5), 8_000),
        (word(9_000, at_s=5), 8_000),
        (word(7_000, at_s=5), 7_000),
    ],
)
def test_a_word_that_comes_late_never_allows_more(late: LimitChanged, allowed_w: float) -> None:
    operator = Operator()
    operator.says(10, word(8_000, at_s=10))
    operator.is_told(11, late)
    assert operator.allows(12).power_w == allowed_w
    assert operator.record.release is None


def test_a_limit_that_has_expired_when_it_is_said_is_no_farewell() -> None:
    operator = Operator()
    operator.says(10, word(8_000, expires_s=10, at_s=10))
    assert operator.allows(10).power_w == 21_210
