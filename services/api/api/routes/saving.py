"""From an edit of the site to an HTTP answer: one place for all routes that configure."""

from typing import Any, assert_never

from fastapi import Response
from pydantic import BaseModel

from api.configuration import Edit, Invalid, Review, Saved, Stale
from api.deps import Parts, etag
from api.problems import ApiProblem, ProblemItem, items_of


class ChangeItem(BaseModel):
    """One value before and after; null where there is none."""

    path: str
    before: Any
    after: Any


class SaveAnswer(BaseModel):
    """What a change of the configuration did, or would do."""

    revision: int
    """The revision in force."""
    valid: bool = True
    changes: list[ChangeItem]
    problems: list[ProblemItem]
    """Warnings; in a dry run errors as well."""


async def save(
    parts: Parts, edit: Edit, *, expected: frozenset[int] | None, response: Response
) -> SaveAnswer:
    """Put an edit into force, or raise 412 (edited an old revision) or 422 (cannot work)."""
    outcome = await parts.configuration.save(edit, expected=expected, author="operator")
    match outcome:
        case Saved():
            response.headers.update(etag(outcome.revision))
            return answer_of(outcome.review, outcome.revision)
        case Invalid():
            raise ApiProblem(422, "the site would not work", problems=outcome.problems)
        case Stale():
            raise ApiProblem(
                412,
                f"the site is at revision {outcome.revision} by now: read it again, and repeat "
                "the change on it",
                headers=etag(outcome.revision),
            )
    assert_never(outcome)


def answer_of(review: Review, revision: int) -> SaveAnswer:
    """Return a review as it is shown."""
    return SaveAnswer(
        revision=revision,
        valid=review.is_valid,
        changes=[
            ChangeItem(path=change.path, before=change.before, after=change.after)
            for change in review.changes
        ],
        problems=[items_of(problem) for problem in review.problems],
    )
