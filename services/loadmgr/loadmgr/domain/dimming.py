"""Section 14a EnWG: what controllable consumers may draw from the grid while the operator lowers.

Rules: BNetzA BK6-22-300, annex 1. The operator's word is ``LimitChanged`` of scope ``DIMMING``:

- ``limit_w`` of 0 or more is the number that counts, even where it is below the minimum of the
  formula: what was received wins;
- ``limit_w`` below 0 (``NO_NUMBER_W``) says *dimmed, no number* (a relay), so the formula counts;
  it also does for a number that cannot be read, and for currents of which one is missing;
- no limit at all is the end of it. Such a word whose ``expires_at`` is not later than its
  ``changed_at`` also ends the supervision of its source, which is then forgotten.

A source that has spoken and is silent, or whose word has expired, counts as dimming by the formula
until it speaks again; its ``changed_at`` tells when it spoke, for others repeat its words. Who
never spoke dims nothing. Of several sources the least counts.

Wiring: ``SiteModel`` keeps ``Terms.of(site)``; ``State`` one ``DimmingRecord``, to which it hands
every word of that scope. Each decision lowers the row of controllable EVSEs to
``record.allowed(terms, now_s, generation_w=...)``; its ``source`` goes into the ``Binding``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isfinite

from shared.contracts.charging import NO_NUMBER_W, LimitChanged
from shared.contracts.site import CONTROLLABLE_W, Dimming, Evse, SiteConfig
from shared.units import NOMINAL_VOLTAGE_V, PhaseAmps

LARGE_W = 11_000.0
"""Heat pumps or cooling above this take the first place of the formula (4.5.2)."""
LARGE_SHARE = 0.4
SIMULTANEITY = {2: 0.80, 3: 0.75, 4: 0.70, 5: 0.65, 6: 0.60, 7: 0.55, 8: 0.50}
SIMULTANEITY_OF_MANY = 0.45
FAIL_SAFE = "fail-safe"
"""Appended to the source whose silence dims."""


def minimum_w(dimming: Dimming, evses: Sequence[Evse]) -> float:
    """Return the power in W that controllable consumers keep in any case (Pmin,14a).

    Behind an energy manager: ``4.2 kW + (n - 1) * GZF * 4.2 kW``, the first term being the larger
    of 40 % of heat pumps and 40 % of cooling where one of them is above 11 kW. All heat pumps are
    one device, all cooling is one (2.4.2); what has 4.2 kW or less is none. 0 = there is no device.
    """
    devices = sum(evse.is_controllable for evse in evses) + dimming.other_devices
    devices += sum(power_w > CONTROLLABLE_W for power_w in (dimming.heat_pump_w, dimming.cooling_w))
    if devices == 0:
        return 0.0
    largest_w = max(dimming.heat_pump_w, dimming.cooling_w)
    first_w = LARGE_SHARE * largest_w if largest_w > LARGE_W else CONTROLLABLE_W
    others = devices - 1
    return first_w + others * SIMULTANEITY.get(devices, SIMULTANEITY_OF_MANY) * CONTROLLABLE_W


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What dimming means at this site. Powers in W, of controllable consumers together."""

    minimum_w: float
    full_w: float
    """The most that they can draw; the way back ends there."""
    others_w: float
    """Kept free for those that are no EVSE."""
    silent_after_s: float
    release_s: float

    @classmethod
    def of(cls, site: SiteConfig) -> "Terms | None":
        """Compile a site; ``None`` = it takes no part."""
        dimming = site.dimming
        if dimming is None:
            return None
        boxes_w = sum(evse.most_w for evse in site.evses if evse.is_controllable)
        return cls(
            minimum_w=minimum_w(dimming, site.evses),
            full_w=boxes_w + dimming.others_w,
            others_w=dimming.others_w,
            silent_after_s=inf if dimming.silent_after_s is None else dimming.silent_after_s,
            release_s=dimming.release_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What EVSEs above 4.2 kW may draw together."""

    power_w: float
    """Infinite = they are not dimmed."""
    source: str | None = None
    """Who dims, or did until now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """The last word of one source."""

    limit_w: float | None
    """Infinite = not dimmed; ``None`` = dimmed without a number."""
    heard_s: float
    """When it was said; what is repeated for it does not count."""
    until_s: float

    def is_silent(self, terms: Terms, now_s: float) -> bool:
        """It is too old to rely on."""
        return now_s >= self.until_s or now_s - self.heard_s > terms.silent_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The way back after dimming has ended (4.3: not all at once)."""

    from_w: float
    began_s: float
    source: str | None

    def limit_w(self, terms: Terms, now_s: float) -> float:
        """Return what counts on the way; infinite when it is over."""
        passed_s = max(0.0, now_s - self.began_s)
        if passed_s >= terms.release_s or self.from_w >= terms.full_w:
            return inf
        return self.from_w + (terms.full_w - self.from_w) * passed_s / terms.release_s


@dataclass(slots=True)
class DimmingRecord:
    """What the operator's boxes have said."""

    words: dict[str, Word] = field(default_factory=dict)
    release: Release | None = None

    def hear(self, terms: Terms, told: LimitChanged, now_s: float) -> bool:
        """Take in a word; return whether it changes what is allowed."""
        if self._is_late(told):
            return False
        before = self._ordered(terms, now_s)
        if _is_farewell(told):
            self.words.pop(told.source, None)
        else:
            self.words[told.source] = _word(told, now_s)
        after = self._ordered(terms, now_s)
        if isfinite(after.power_w):
            self.release = None
        elif isfinite(before.power_w):
            self.release = Release(from_w=before.power_w, began_s=now_s, source=before.source)
        return before != after

    def _is_late(self, told: LimitChanged) -> bool:
        """Tell whether a word is older than the last one and would loosen what that one ordered.

        With two replicas of the api a repetition may come late.
        """
        last = self.words.get(told.source)
        if last is None or told.changed_at.timestamp() >= last.heard_s:
            return False
        return _strictness_w(_limit_w(told)) > _strictness_w(last.limit_w)

    def allowed(self, terms: Terms, now_s: float, *, generation_w: float) -> Allowed:
        """Return what EVSEs above 4.2 kW may draw.

        The limit is about the grid, so what the site generates at this moment (W) comes on top; an
        unknown generation is 0. What other devices may draw is kept free for them.
        """
        ordered = self._ordered(terms, now_s)
        if not isfinite(ordered.power_w) and self.release is not None:
            limit_w = self.release.limit_w(terms, now_s)
            ordered = Allowed(power_w=limit_w, source=self.release.source)
        if not isfinite(ordered.power_w):
            return Allowed(power_w=inf)
        power_w = ordered.power_w + max(0.0, generation_w) - terms.others_w
        return Allowed(power_w=max(0.0, power_w), source=ordered.source)

    def _ordered(self, terms: Terms, now_s: float) -> Allowed:
        """Return the least of what all sources say, without generation and way back."""
        said = [
            _said(source, word, terms, now_s=now_s) for source, word in sorted(self.words.items())
        ]
        return min(said, key=lambda allowed: allowed.power_w, default=Allowed(power_w=inf))


def _said(source: str, word: Word, terms: Terms, *, now_s: float) -> Allowed:
    if word.is_silent(terms, now_s):
        return Allowed(power_w=terms.minimum_w, source=f"{source} ({FAIL_SAFE})")
    limit_w = terms.minimum_w if word.limit_w is None else word.limit_w
    return Allowed(power_w=limit_w, source=source if isfinite(limit_w) else None)


def _is_farewell(told: LimitChanged) -> bool:
    ends_at = told.expires_at
    return _limit_w(told) == inf and ends_at is not None and ends_at <= told.changed_at


def _word(told: LimitChanged, now_s: float) -> Word:
    until_s = inf if told.expires_at is None else told.expires_at.timestamp()
    return Word(
        limit_w=_limit_w(told),
        heard_s=min(told.changed_at.timestamp(), now_s),
        until_s=until_s,
    )


def _limit_w(told: LimitChanged) -> float | None:
    """Read a limit; infinite = none, ``None`` = there is one and it has no number."""
    numbers = [] if told.limit_w is None else [told.limit_w]
    numbers += [] if told.limit_a is None else [_power_w(told.limit_a)]
    if not numbers:
        return inf
    return min((number for number in numbers if isfinite(number) and number >= 0), default=None)


def _strictness_w(limit_w: float | None) -> float:
    """Order limits; one without a number is as strict as any."""
    return 0.0 if limit_w is None else limit_w


def _power_w(limit_a: PhaseAmps) -> float:
    known = limit_a.known
    if len(known) < len(tuple(limit_a)) or min(known) < 0:
        return NO_NUMBER_W
    return NOMINAL_VOLTAGE_V * sum(known)
