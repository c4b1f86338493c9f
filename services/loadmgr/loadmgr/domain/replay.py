"""Decides recorded facts again, and tells where the answer is another one than it was. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from loadmgr.domain.log_record import (
    Begun,
    Decided,
    Forgotten,
    Heard,
    LogRecord,
    Missing,
    OfferWord,
    Remembered,
    SetpointWord,
    SiteLoaded,
    StationLost,
)
from loadmgr.domain.memory_form import MemoryDoesNotFit
from loadmgr.domain.plan import decide
from loadmgr.domain.site_model import compile_site
from loadmgr.domain.state import State
from shared.contracts.charging import Reason
from shared.contracts.site import Mode, SiteConfig

SAME_A = 1e-6
"""No box tells currents apart that are nearer; another processor may add numbers otherwise."""


class Difference(NamedTuple):
    """One thing about an EVSE that is decided otherwise now."""

    at: datetime
    evse_id: str
    what: str
    """``setpoint`` (that one is sent at all), ``limit_a``, ``phases`` or ``reason``."""
    recorded: str
    now: str


@dataclass(slots=True)
class Tally:
    """How many decisions there were, and what became of them."""

    decisions: int = 0
    """Decided again and compared."""
    differing: int = 0
    unknowable: int = 0
    """Not compared: what was known before them is not in the log."""
    missing_records: int = 0
    """That load management could not write."""
    foreign_memories: int = 0
    """Written by another version of Parkade, so that the next cold start is waited for."""


class Replay:
    """Load management once more, fed with the records of one file after another."""

    def __init__(self, *, begins: datetime | None = None, ends: datetime | None = None) -> None:
        """Compare decisions from ``begins`` on and before ``ends``; ``None`` = all."""
        self.tally = Tally()
        self._begins = begins
        self._ends = ends
        self._model = compile_site(SiteConfig(mode=Mode.OFF))
        self._state: State | None = None

    def take(self, record: LogRecord) -> list[Difference]:
        """Take in a record; return what a decision differs in.

        Raises ``ConfigError`` when the recorded site cannot be used by this version.
        """
        if isinstance(record, Decided):
            return self._decide(record)
        if isinstance(record, SiteLoaded):
            self._load(record)
        elif isinstance(record, Remembered):
            self._state = self._recalled(record)
        elif isinstance(record, Forgotten):
            self._state = State(revision=0 if self._state is None else self._state.revision)
            self._state.fit(self._model, record.at.timestamp())
        elif isinstance(record, Begun | Missing):
            self._state = None
            self.tally.missing_records += record.records if isinstance(record, Missing) else 0
        else:
            self._hear(record)
        return []

    def _load(self, loaded: SiteLoaded) -> None:
        before, self._model = self._model, compile_site(loaded.site)
        if self._state is not None and loaded.is_new:
            self._state.fit(self._model, loaded.at.timestamp(), before=before)

    def _hear(self, record: Heard | StationLost) -> None:
        if self._state is None:
            return
        now_s = record.at.timestamp()
        if isinstance(record, Heard):
            self._state.hear(self._model, record.fact, now_s)
        else:
            self._state.lose_station(self._model, record.station_id, now_s)

    def _recalled(self, memory: Remembered) -> State | None:
        try:
            return memory.state()
        except MemoryDoesNotFit:
            self.tally.foreign_memories += 1
            return None

    def _decide(self, recorded: Decided) -> list[Difference]:
        if self._state is None:
            self.tally.unknowable += self._is_asked(recorded.at)
            return []
        decision = decide(self._model, self._state, recorded.at)
        if not self._is_asked(recorded.at):
            return []
        told = None if recorded.offers is None else decision.decided
        found = list(differences(recorded, Decided.of(recorded.at, decision.setpoints, told)))
        self.tally.decisions += 1
        self.tally.differing += bool(found)
        return found

    def _is_asked(self, at: datetime) -> bool:
        is_early = self._begins is not None and at < self._begins
        return not is_early and (self._ends is None or at < self._ends)


def differences(recorded: Decided, now: Decided) -> Iterator[Difference]:
    """Yield what differs between two decisions of one moment, by EVSE."""
    before = {word.evse_id: word for word in recorded.setpoints}
    after = {word.evse_id: word for word in now.setpoints}
    yield from _setpoint_differences(recorded.at, before, after)
    offers, offers_now = recorded.offers or {}, now.offers or {}
    for evse_id in _all_of(offers, offers_now):
        old, new = offers.get(evse_id), offers_now.get(evse_id)
        if evse_id not in before and evse_id not in after:  # told already
            yield from _word_differences(recorded.at, evse_id, old, new)


def _setpoint_differences(
    at: datetime, before: Mapping[str, SetpointWord], after: Mapping[str, SetpointWord]
) -> Iterator[Difference]:
    for evse_id in _all_of(before, after):
        old, new = before.get(evse_id), after.get(evse_id)
        if old is None or new is None:
            yield Difference(at, evse_id, "setpoint", _shown_setpoint(old), _shown_setpoint(new))
            continue
        first = OfferWord(old.limit_a, old.phases, old.reason)
        yield from _word_differences(
            at, evse_id, first, OfferWord(new.limit_a, new.phases, new.reason)
        )


def _word_differences(
    at: datetime, evse_id: str, old: OfferWord | None, new: OfferWord | None
) -> Iterator[Difference]:
    if old is None or new is None:
        yield Difference(at, evse_id, "offer", _shown_offer(old), _shown_offer(new))
        return
    if abs(old.limit_a - new.limit_a) > SAME_A:
        yield Difference(at, evse_id, "limit_a", f"{old.limit_a:g}", f"{new.limit_a:g}")
    if old.phases != new.phases:
        yield Difference(at, evse_id, "phases", str(old.phases), str(new.phases))
    if old.reason != new.reason:
        yield Difference(at, evse_id, "reason", shown_reason(old.reason), shown_reason(new.reason))


def shown_reason(reason: Reason) -> str:
    """Return a reason in one line: ``circuit uv3 L2``."""
    parts = (reason.code.value, reason.circuit, reason.group, reason.phase, reason.source)
    return " ".join(str(part) for part in parts if part is not None)


def _shown_setpoint(word: SetpointWord | None) -> str:
    return "none" if word is None else f"{word.limit_a:g} A ({shown_reason(word.reason)})"


def _shown_offer(word: OfferWord | None) -> str:
    return "none" if word is None else f"{word.limit_a:g} A ({shown_reason(word.reason)})"


def _all_of(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return sorted({*first, *second})
