"""From an edit of the site to an HTTP answer: one place for all routes that configure."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, assert_never

from fastapi import Depends, Query, Response
from pydantic import BaseModel

from api.configuration import Edit, Invalid, Review, Saved, Stale
from api.deps import ExpectedDep, Parts, PartsDep, etag
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


Save = Callable[[Edit], Awaitable[SaveAnswer]]


async def as_asked(
    parts: PartsDep,
    expected: ExpectedDep,
    response: Response,
    dry_run: Annotated[bool, Query(description="Show what would change; store nothing")] = False,
) -> Save:
    """Return what puts an edit into force, or with ``?dry_run=true`` only tells what it would do.

    Whoever edits the site is given this, so that no route can overlook what was asked for.
    """

    async def save(edit: Edit) -> SaveAnswer:
        if dry_run:
            return answer_of(*await parts.configuration.dry_run(edit))
        return await _put_into_force(parts, edit, expected=expected, response=response)

    return save


SaveDep = Annotated[Save, Depends(as_asked)]


async def _put_into_force(
    parts: Parts, edit: Edit, *, expected: frozenset[int] | None, response: Response
) -> SaveAnswer:
    """Raises 412 (edited an old revision) or 422 (cannot work)."""
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
