"""Which job a word of a station belongs to, and what it makes of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.domain.station_jobs import IDLE, MOST_STEPS, SUPERSEDED, JobRecord, folded
from shared.contracts.station import JobKind, StationJobChanged

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def fact(status: str, minute: float = 0, **values: Any) -> StationJobChanged:
    told: dict[str, Any] = {
        "station_id": "CP1",
        "kind": JobKind.FIRMWARE,
        "status": status,
        "changed_at": NOON + timedelta(minutes=minute),
    }
    return StationJobChanged(**(told | values))


def order(minute: float = 0, **values: Any) -> StationJobChanged:
    return fact("Accepted", minute, ordered=True, location="ftp://f", **values)


def after(*facts: StationJobChanged) -> list[JobRecord]:
    """Fold facts one after another, as the store does; newest job first."""
    jobs: dict[str, JobRecord] = {}
    for one in facts:
        for job in folded(_newest_first(jobs.values()), one):
            jobs[job.job_id] = job
    return _newest_first(jobs.values())


def _newest_first(jobs: Any) -> list[JobRecord]:
    return sorted(jobs, key=lambda job: job.begun_at, reverse=True)


def words(job: JobRecord) -> list[str]:
    return [step.status for step in job.steps]


UPDATE = (
    order(0),
    fact("Downloading", 1),
    fact("Downloading", 2),
    fact("Downloaded", 3),
    fact("Installing", 4),
    fact("Installed", 5, finished=True),
)


def test_reports_belong_to_the_open_job_of_their_kind() -> None:
    (job,) = after(*UPDATE)
    assert words(job) == ["Accepted", "Downloading", "Downloaded", "Installing", "Installed"]
    assert (job.status, job.location, job.ordered_at) == ("Installed", "ftp://f", NOON)
    assert job.finished_at == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("first", range(len(UPDATE)))
def test_facts_that_are_delivered_again_change_nothing(first: int) -> None:
    assert after(*UPDATE, *UPDATE[first:]) == after(*UPDATE)


def test_a_report_without_an_order_is_a_job_begun_elsewhere() -> None:
    (job,) = after(fact("Downloading"))
    assert (job.ordered_at, job.is_open, job.status) == (None, True, "Downloading")


def test_a_report_of_another_kind_is_none_of_its_business() -> None:
    # the store asks by kind, so the rule sees no job here
    assert folded([], fact("Uploading", kind=JobKind.LOG))[0].kind is JobKind.LOG


@pytest.mark.parametrize("before", [(), (order(),), UPDATE])
def test_idle_neither_begins_nor_ends_a_job(before: Sequence[StationJobChanged]) -> None:
    assert after(*before, fact(IDLE, 9)) == after(*before)


def test_a_new_order_ends_the_one_before() -> None:
    new, old = after(order(0), fact("Downloading", 1), order(2))
    assert (old.status, old.finished_at) == (SUPERSEDED, NOON + timedelta(minutes=2))
    assert (new.status, new.is_open) == ("Accepted", True)


def test_a_report_that_overtook_its_order_is_no_second_job() -> None:
    (job,) = after(fact("Downloading", 0.05), order(0), fact("Downloaded", 1))
    assert (job.ordered_at, job.location, job.status) == (NOON, "ftp://f", "Downloaded")


def test_a_job_begun_elsewhere_long_before_an_order_is_another() -> None:
    new, old = after(fact("Downloading", -5), order(0))
    assert (old.status, new.ordered_at) == (SUPERSEDED, NOON)


def test_a_final_word_said_again_after_each_start_is_no_new_job() -> None:
    assert len(after(*UPDATE, fact("Installed", 60, finished=True))) == 1


def test_another_word_after_the_end_is_a_job_begun_elsewhere() -> None:
    new, _old = after(*UPDATE, fact("Downloading", 60))
    assert (new.ordered_at, new.status) == (None, "Downloading")


def test_a_request_id_finds_its_job_among_several() -> None:
    signed: dict[str, Any] = {"kind": JobKind.SIGNED_FIRMWARE}
    facts = (order(0, request_id=1, **signed), order(1, request_id=2, **signed))
    new, old = after(*facts, fact("InstallRebooting", 2, request_id=1, **signed))
    assert (old.request_id, old.status) == (1, "InstallRebooting")
    assert (new.request_id, new.status) == (2, "Accepted")


def test_a_useless_request_id_belongs_to_what_is_open() -> None:
    (job,) = after(order(0, request_id=5), fact("Downloading", 1, request_id=-1))
    assert (job.request_id, job.status) == (5, "Downloading")


def test_a_log_of_another_request_is_another_job_though_its_last_word_is_the_same() -> None:
    log: dict[str, Any] = {"kind": JobKind.LOG, "finished": True}
    found = after(
        fact("Uploaded", 0, request_id=1, **log), fact("Uploaded", 5, request_id=2, **log)
    )
    assert [job.request_id for job in found] == [2, 1]


def test_an_order_that_is_over_at_once_is_finished() -> None:
    (job,) = after(order(0, kind=JobKind.DIAGNOSTICS, finished=True, detail="nothing there"))
    assert (job.is_open, job.detail) == (False, "nothing there")


def test_the_steps_of_a_talkative_station_are_bounded() -> None:
    facts = [fact(f"Step{n}", n) for n in range(MOST_STEPS + 50)]
    (job,) = after(*facts)
    assert len(job.steps) == MOST_STEPS
    assert job.steps[-1].status == f"Step{MOST_STEPS + 49}"
