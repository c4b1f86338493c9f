"""``/sessions``: what was charged, as JSON and as a table for accounting."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from api.deps import Parts, PartsDep
from api.domain.session_record import SessionRecord
from api.problems import not_found
from api.storage.sessions import SessionFilter

router = APIRouter(tags=["sessions"])
COLUMNS = (
    "session_id",
    "evse_id",
    "station_id",
    "connector",
    "started_at",
    "ended_at",
    "token",
    "energy_wh",
    "energy_start_wh",
    "energy_stop_wh",
    "transaction_id",
    "reason",
)


class SessionView(BaseModel):
    """One session; null = not known (yet)."""

    session_id: str
    evse_id: str
    station_id: str
    connector: int
    started_at: datetime | None
    ended_at: datetime | None
    token: str | None
    energy_wh: float | None
    energy_start_wh: float | None
    energy_stop_wh: float | None
    transaction_id: int | None
    reason: str


class SessionPage(BaseModel):
    """Some sessions, newest first, and how many fit the filter altogether."""

    items: list[SessionView]
    total: int


def _filter(
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="excluded")] = None,
    evse: Annotated[str | None, Query()] = None,
) -> SessionFilter:
    return SessionFilter(since=since, until=until, evse_id=evse)


FilterDep = Annotated[SessionFilter, Depends(_filter)]


@router.get("/sessions", summary="List sessions")
async def list_sessions(
    parts: PartsDep,
    which: FilterDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> SessionPage:
    """Newest first. ``from`` and ``to`` are about the start of a session."""
    found, total = await parts.sessions.page(which, limit=limit, offset=offset)
    return SessionPage(items=[_view(record) for record in found], total=total)


@router.get("/sessions.csv", summary="Download sessions as CSV", response_class=Response)
async def download_sessions(parts: PartsDep, which: FilterDep) -> StreamingResponse:
    """The same as a table, with all sessions that fit."""
    headers = {"Content-Disposition": 'attachment; filename="sessions.csv"'}
    return StreamingResponse(_csv(parts, which), media_type="text/csv", headers=headers)


@router.get("/sessions/{session_id:path}", summary="Read one session")
async def read_session(session_id: str, parts: PartsDep) -> SessionView:
    """One session by its id."""
    record = await parts.sessions.get(session_id)
    if record is None:
        raise not_found("session", session_id)
    return _view(record)


def _view(record: SessionRecord) -> SessionView:
    return SessionView(**asdict(record), energy_wh=record.energy_wh)


async def _csv(parts: Parts, which: SessionFilter) -> AsyncIterator[str]:
    yield _lines([list(COLUMNS)])
    async for records in parts.sessions.every(which):
        yield _lines([_cells(record) for record in records])


def _cells(record: SessionRecord) -> list[str]:
    view = _view(record).model_dump(mode="json")
    return [_cell(view[column]) for column in COLUMNS]


def _cell(value: object) -> str:
    """A token that begins like a formula must not be one when a spreadsheet opens the file."""
    if value is None:
        return ""
    text = str(value)
    is_dangerous = isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{text}" if is_dangerous else text


def _lines(rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
