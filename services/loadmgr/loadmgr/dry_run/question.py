"""What is asked of the process that runs dry, and what it answers: lines of JSON between two."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime

from loadmgr.dry_run.comparing import compared_as_recorded, compared_as_simulated
from loadmgr.dry_run.recording import NothingRecorded, Recording, recording_of
from loadmgr.log_folder import FILE_LASTS, begun_at, log_files
from loadmgr.log_reading import LogFile
from shared.contracts.dry_run import Demand, DryRunAnswer
from shared.contracts.message import Contract
from shared.contracts.site import SiteConfig

MOST_DAYS = 31


class Question(Contract):
    """Everything that a dry run needs to know."""

    changed: SiteConfig
    present: SiteConfig
    demand: Demand
    begins_at: AwareDatetime | None = None
    days: int = 1
    seed: int = 1
    asked_at: AwareDatetime
    log_folder: Path


class Answer(Contract):
    """Reports, or why there are none."""

    reports: DryRunAnswer | None = None
    refused: str | None = None
    """What the asker can do something about."""


def answer(question: Question) -> DryRunAnswer:
    """Run dry. Raises ``ConfigError``, of which ``NothingRecorded`` is one."""
    days = timedelta(days=question.days)
    begins = (question.begins_at or question.asked_at - days).astimezone(UTC)
    if question.demand is Demand.SIMULATED:
        return compared_as_simulated(
            question.changed,
            question.present,
            begins=begins,
            days=question.days,
            seed=question.seed,
        )
    recording = recorded_days(question.log_folder, begins=begins, ends=begins + days)
    return compared_as_recorded(question.changed, question.present, recording)


def recorded_days(folder: Path, *, begins: datetime, ends: datetime) -> Recording:
    """Return what the files of a folder tell of a time. Raises ``NothingRecorded``."""
    files = [LogFile(path) for path in log_files(folder) if _may_tell(path, begins, ends)]
    if not files:
        raise NothingRecorded(
            "the decision log has no day of that time yet: wait until one has been recorded, ask "
            'for another time, or ask with "demand": "simulated"'
        )
    happenings = (happening for file in files for happening in file.scan())
    return recording_of(happenings, begins=begins, ends=ends)


def _may_tell(path: Path, begins: datetime, ends: datetime) -> bool:
    """A file lasts an hour, a little longer when nothing was decided at its end."""
    begun = begun_at(path)
    return begun is not None and begins - 2 * FILE_LASTS <= begun < ends
