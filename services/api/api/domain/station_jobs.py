"""Folding what stations tell of their jobs: which job a word belongs to, and what it makes of it.

A report of OCPP 1.6 names no job. It belongs to the newest open job of its kind; where none is
open, somebody else has begun one: the box's own page, or its manufacturer.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.contracts.station import JobKind, StationJobChanged

IDLE = "Idle"
"""What a station says that does nothing; it neither begins nor ends a job."""
SUPERSEDED = "Superseded"
"""Status of a job that the next order has ended: a station works on one of each kind."""
MOST_STEPS = 100
ADOPTED_WITHIN = timedelta(seconds=10)
"""A first report may overtake the news of its order by as much."""


@dataclass(frozen=True, kw_only=True)
class JobStep:
    """One word of a station about a job."""

    at: datetime
    status: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job as it is stored."""

    job_id: str
    station_id: str
    kind: JobKind
    status: str
    begun_at: datetime
    changed_at: datetime
    request_id: int | None = None
    ordered_at: datetime | None = None
    """When we ordered it; ``None`` = it was begun elsewhere."""
    finished_at: datetime | None = None
    location: str = ""
    file_name: str = ""
    detail: str = ""
    steps: tuple[JobStep, ...] = ()

    @property
    def is_open(self) -> bool:
        """More is to be expected of it."""
        return self.finished_at is None


def folded(jobs: Sequence[JobRecord], fact: StationJobChanged) -> list[JobRecord]:
    """Return the jobs that a fact makes or changes; none where it is a repetition or says nothing.

    ``jobs`` are the last ones of that station and kind, newest first.
    """
    if fact.ordered:
        return _ordered(jobs, fact)
    if fact.status == IDLE or _is_repetition(jobs, fact):
        return []
    job = _job_of(jobs, fact)
    if job is not None:
        return [_with(job, fact)]
    return [_begun(fact)]


def _ordered(jobs: Sequence[JobRecord], fact: StationJobChanged) -> list[JobRecord]:
    same = (fact.changed_at, fact.request_id)
    if any((job.ordered_at, job.request_id) == same for job in jobs):
        return []
    early = next((job for job in jobs if _is_early_report_of(job, fact)), None)
    others = [job for job in jobs if job.is_open and job is not early]
    superseded = [_ended(job, fact.changed_at) for job in others]
    if early is None:
        return [*superseded, replace(_begun(fact), ordered_at=fact.changed_at)]
    adopted = replace(
        early,
        ordered_at=fact.changed_at,
        request_id=fact.request_id if early.request_id is None else early.request_id,
        location=fact.location,
        file_name=early.file_name or fact.file_name,
        detail=early.detail or fact.detail,
    )
    return [*superseded, adopted]


def _is_early_report_of(job: JobRecord, order: StationJobChanged) -> bool:
    """Only a job that nobody is known to have ordered, told of at the moment of the order."""
    is_near = abs(order.changed_at - job.begun_at) <= ADOPTED_WITHIN
    fits = job.request_id is None or job.request_id == order.request_id
    return job.ordered_at is None and is_near and fits


def _is_repetition(jobs: Sequence[JobRecord], fact: StationJobChanged) -> bool:
    """A word that a queue delivers again, or that a station says again after every start."""
    told = (fact.changed_at, fact.status)
    if any((step.at, step.status) == told for job in jobs for step in job.steps):
        return True
    if not jobs or jobs[0].is_open or fact.request_id not in (None, jobs[0].request_id):
        return False
    return fact.changed_at < jobs[0].changed_at or fact.status == jobs[0].status


def _job_of(jobs: Sequence[JobRecord], fact: StationJobChanged) -> JobRecord | None:
    if fact.request_id is not None:
        for job in jobs:
            if job.request_id == fact.request_id:
                return job
    return next((job for job in jobs if job.is_open), None)


def _with(job: JobRecord, fact: StationJobChanged) -> JobRecord:
    step = JobStep(at=fact.changed_at, status=fact.status, detail=fact.detail)
    is_new = not job.steps or (job.steps[-1].status, job.steps[-1].detail) != (
        step.status,
        step.detail,
    )
    return replace(
        job,
        status=fact.status,
        changed_at=max(job.changed_at, fact.changed_at),
        finished_at=fact.changed_at if fact.finished else job.finished_at,
        location=fact.location or job.location,
        file_name=fact.file_name or job.file_name,
        detail=fact.detail,
        steps=(*job.steps, step)[-MOST_STEPS:] if is_new else job.steps,
    )


def _begun(fact: StationJobChanged) -> JobRecord:
    return JobRecord(
        job_id=_job_id(fact),
        station_id=fact.station_id,
        kind=fact.kind,
        status=fact.status,
        begun_at=fact.changed_at,
        changed_at=fact.changed_at,
        request_id=fact.request_id,
        finished_at=fact.changed_at if fact.finished else None,
        location=fact.location,
        file_name=fact.file_name,
        detail=fact.detail,
        steps=(JobStep(at=fact.changed_at, status=fact.status, detail=fact.detail),),
    )


def _ended(job: JobRecord, at: datetime) -> JobRecord:
    step = JobStep(at=at, status=SUPERSEDED)
    return replace(
        job,
        status=SUPERSEDED,
        changed_at=max(job.changed_at, at),
        finished_at=at,
        steps=(*job.steps, step)[-MOST_STEPS:],
    )


def _job_id(fact: StationJobChanged) -> str:
    """The same for every repetition of the fact that begins a job."""
    parts = (fact.station_id, fact.kind, str(fact.request_id), fact.changed_at.isoformat())
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]
