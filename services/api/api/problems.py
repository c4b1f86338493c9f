"""Errors as problem+json (RFC 9457): one place where exceptions become HTTP."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.domain.problem import Problem
from shared.errors import (
    HandlerFailed,
    NotSafe,
    ParkadeError,
    Refused,
    ReplyTimeout,
    StoreUnavailable,
    Unroutable,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
STATUS_OF: dict[type[ParkadeError], int] = {
    Refused: 409,
    Unroutable: 503,
    ReplyTimeout: 504,
    StoreUnavailable: 503,
    NotSafe: 503,
    HandlerFailed: 502,
}


class ProblemItem(BaseModel):
    """One finding."""

    path: str
    message: str
    severity: str = "error"


class ProblemDocument(BaseModel):
    """What every error is answered with."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[ProblemItem] = []


class ApiProblem(Exception):
    """Ends a request with an error that the client can act on."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        problems: Sequence[Problem] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)
        self.headers = headers


def not_found(kind: str, name: str) -> ApiProblem:
    """Return the problem of something that does not exist."""
    return ApiProblem(404, f"{kind} {name!r} does not exist")


def problem_response(problem: ApiProblem) -> JSONResponse:
    """Return the answer to a problem."""
    document = ProblemDocument(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        problems=[items_of(finding) for finding in problem.problems],
    )
    return JSONResponse(
        document.model_dump(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def items_of(finding: Problem) -> ProblemItem:
    """Return a finding as it is shown."""
    return ProblemItem(path=finding.path, message=finding.message, severity=finding.severity.value)


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of an app as problem+json."""
    app.add_exception_handler(ApiProblem, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(ParkadeError, _of_parkade)
    app.add_exception_handler(Exception, _of_anything)


async def _of_problem(_request: Request, error: Any) -> JSONResponse:
    return problem_response(error)


async def _of_http(request: Request, error: Any) -> JSONResponse:
    detail = {
        404: f"there is nothing at {request.url.path}; /docs lists what there is",
        405: f"{request.method} is not possible at {request.url.path}",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers) if error.headers else None
    return problem_response(ApiProblem(error.status_code, detail, headers=headers))


async def _of_validation(_request: Request, error: Any) -> JSONResponse:
    findings = [
        Problem(".".join(str(step) for step in found["loc"]), found["msg"])
        for found in error.errors()
    ]
    return problem_response(ApiProblem(422, "the request does not fit", problems=findings))


async def _of_parkade(_request: Request, error: Any) -> JSONResponse:
    status = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), 500)
    if status == 500:
        logger.error("request failed", exc_info=error)
    headers = {"Retry-After": "5"} if status == 503 else None
    return problem_response(ApiProblem(status, str(error), headers=headers))


async def _of_anything(_request: Request, _error: Exception) -> JSONResponse:
    """The server logs the error with its stack; the client gets neither."""
    return problem_response(ApiProblem(500, "something broke here; the log of the api has details"))
