"""Folding billed facts into session records: the order of arrival does not matter, nor repetition.

A station that was offline delivers old facts late, and a queue delivers some twice.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.session import SessionEnded, SessionStarted

SUPERSEDED = "superseded"
"""Reason of a session that was ended only by the next one at the same EVSE."""


@dataclass(frozen=True, kw_only=True)
class SessionRecord:
    """One session as it is stored. ``None`` = not known (yet)."""

    session_id: str
    evse_id: str
    station_id: str
    connector: int
    started_at: datetime | None = None
    ended_at: datetime | None = None
    token: str | None = None
    energy_start_wh: float | None = None
    energy_stop_wh: float | None = None
    transaction_id: int | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Its end is not known."""
        return self.ended_at is None

    @property
    def energy_wh(self) -> float | None:
        """What was charged; unknown unless both registers are."""
        if self.energy_start_wh is None or self.energy_stop_wh is None:
            return None
        return self.energy_stop_wh - self.energy_start_wh


def started(known: SessionRecord | None, fact: SessionStarted) -> SessionRecord:
    """Return the record after a start. An end that arrived first stays."""
    record = known or _new(fact)
    return replace(
        record,
        started_at=record.started_at or fact.started_at,
        token=record.token if record.token is not None else fact.token,
        energy_start_wh=(
            record.energy_start_wh if record.energy_start_wh is not None else fact.energy_start_wh
        ),
        transaction_id=(
            record.transaction_id if record.transaction_id is not None else fact.transaction_id
        ),
    )


def ended(known: SessionRecord | None, fact: SessionEnded) -> SessionRecord:
    """Return the record after an end. It creates the record if the start is missing so far.

    The first end counts, except that a real one replaces ``superseded``.
    """
    record = known or _new(fact)
    if not record.is_open and record.reason != SUPERSEDED:
        return record
    return replace(
        record,
        ended_at=fact.ended_at,
        energy_stop_wh=fact.energy_stop_wh,
        reason=fact.reason,
        token=record.token if record.token is not None else fact.token,
        transaction_id=(
            record.transaction_id if record.transaction_id is not None else fact.transaction_id
        ),
    )


def superseded(records: Sequence[SessionRecord]) -> list[SessionRecord]:
    """Return the open sessions of one EVSE that a later one has replaced, now closed.

    ``records`` are sessions of that EVSE with a known start. An outlet has one vehicle, so a start
    ends whatever was open there before; how much that one charged stays unknown.
    """
    timed = [(r.started_at, r) for r in records if r.started_at is not None]
    timed.sort(key=lambda pair: (pair[0], pair[1].session_id))
    closed: list[SessionRecord] = []
    for (_, record), (next_start, _) in itertools.pairwise(timed):
        if record.is_open:
            closed.append(replace(record, ended_at=next_start, reason=SUPERSEDED))
    return closed


def _new(fact: SessionStarted | SessionEnded) -> SessionRecord:
    return SessionRecord(
        session_id=fact.session_id,
        evse_id=fact.evse_id,
        station_id=fact.station_id,
        connector=fact.connector,
    )
