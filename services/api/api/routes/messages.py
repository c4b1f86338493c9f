"""``/messages``: every frame between stations and server, to look through, download and follow."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.deps import Parts, PartsDep, require_follower
from api.domain.message_log import (
    Direction,
    FrameKind,
    LoggedMessage,
    MessageFilter,
    as_line,
)
from api.domain.storable import LONGEST_NAME, storable, storable_name
from api.problems import ApiProblem
from api.routes.streams import HEARTBEAT_S, SEND_WITHIN_S

LARGEST_ID = 2**63 - 1
LONGEST_SEARCH = 1_000
MOST_ON_A_PAGE = 1_000

router = APIRouter(tags=["messages"])
follow_router = APIRouter(tags=["messages"], dependencies=[Depends(require_follower)])
"""Browsers open streams without headers, so these let ``?access_token=`` in."""


class MessageView(BaseModel):
    """One frame."""

    id: int
    at: datetime
    station_id: str
    direction: Direction
    kind: FrameKind
    message_id: str
    action: str
    """Of the call; an answer has that of its call."""
    text: str
    latency_ms: float | None
    """Of an answer: since its call."""
    repairs: list[str]
    """What was wrong with a payload that was served all the same."""


class MessagePageView(BaseModel):
    """Some frames, newest first."""

    items: list[MessageView]
    next: int | None
    """Read on with ``before=<next>``; null = that was all. A page may hold less than ``limit``, or
    nothing, and name a next one: the log was looked through for a while then."""


class MessageQuery(BaseModel):
    """Which frames are asked for."""

    station: str | None = Field(None, max_length=LONGEST_NAME)
    action: str | None = Field(None, max_length=LONGEST_NAME)
    direction: Direction | None = Field(None, description="in = from the station")
    kind: FrameKind | None = None
    text: str | None = Field(
        None, min_length=1, max_length=LONGEST_SEARCH, description="occurs in the frame"
    )
    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to", description="excluded")


class PageQuery(MessageQuery):
    """Which of them, and how."""

    before: int | None = Field(None, ge=0, le=LARGEST_ID, description="next of a page")
    limit: int | None = Field(
        None, ge=1, le=LARGEST_ID, description="JSON: 100 unless told, 1000 at most; text: all"
    )
    format: Literal["json", "text"] = Field("json", description="text = a download, a line each")


def _filter(query: MessageQuery, *, station_id: str | None) -> MessageFilter:
    action, text = query.action, query.text
    return MessageFilter(
        station_id=None if station_id is None else storable_name(station_id),
        action=None if action is None else storable_name(action),
        direction=query.direction,
        kind=query.kind,
        text=None if text is None else storable(text, most=LONGEST_SEARCH),
        since=_in_utc("from", query.since),
        until=_in_utc("to", query.until),
    )


def _in_utc(name: str, moment: datetime | None) -> datetime | None:
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ApiProblem(422, f"{name} is outside of the years 1 to 9999") from error


@router.get("/messages", summary="Read the message log", response_model=MessagePageView)
async def list_messages(parts: PartsDep, query: Annotated[PageQuery, Query()]) -> Response:
    """Newest first. ``format=text`` downloads all that fit: columns separated by tabs."""
    return await _answer(parts, query, station_id=query.station)


@router.get(
    "/stations/{station_id:path}/messages",
    summary="Read the message log of a station",
    response_model=MessagePageView,
)
async def list_messages_of_station(
    station_id: str, parts: PartsDep, query: Annotated[PageQuery, Query()]
) -> Response:
    """The same of one station; it may be gone long since."""
    return await _answer(parts, query, station_id=station_id)


@follow_router.get(
    "/messages/follow",
    summary="Follow the message log (server-sent events)",
    response_class=EventSourceResponse,
)
async def follow_messages(
    parts: PartsDep, query: Annotated[MessageQuery, Query()]
) -> EventSourceResponse:
    """Each event is a frame as JSON. ``event: lost`` tells how many a slow reader lost."""
    return _followed(parts, query, station_id=query.station)


@follow_router.get(
    "/stations/{station_id:path}/messages/follow",
    summary="Follow the message log of a station (server-sent events)",
    response_class=EventSourceResponse,
)
async def follow_messages_of_station(
    station_id: str, parts: PartsDep, query: Annotated[MessageQuery, Query()]
) -> EventSourceResponse:
    """The same of one station."""
    return _followed(parts, query, station_id=station_id)


async def _answer(parts: Parts, query: PageQuery, *, station_id: str | None) -> Response:
    which = _filter(query, station_id=_name_in_log(parts, station_id))
    if query.format == "text":
        headers = {"Content-Disposition": 'attachment; filename="messages.txt"'}
        lines = _lines(parts, which, before=query.before, most=query.limit or LARGEST_ID)
        return StreamingResponse(lines, media_type="text/plain", headers=headers)
    limit = min(query.limit or 100, MOST_ON_A_PAGE)
    page = await parts.messages.page(which, before=query.before, limit=limit)
    body = {"items": [_view(message) for message in page.items], "next": page.next}
    return Response(orjson.dumps(body), media_type="application/json")


def _followed(parts: Parts, query: MessageQuery, *, station_id: str | None) -> EventSourceResponse:
    which = _filter(query, station_id=_name_in_log(parts, station_id))
    frames = _sent_frames(parts, which)
    return EventSourceResponse(frames, ping=HEARTBEAT_S, send_timeout=SEND_WITHIN_S)


def _name_in_log(parts: Parts, station_id: str | None) -> str | None:
    """Stations are the same whatever the case of their ids, and the log has the configured one."""
    known = None if station_id is None else parts.live.stations.view(station_id)
    return station_id if known is None else known.id


async def _lines(
    parts: Parts, which: MessageFilter, *, before: int | None, most: int
) -> AsyncIterator[str]:
    async for messages in parts.messages.every(which, before=before, most=most):
        yield "".join(as_line(message) for message in messages)


async def _sent_frames(parts: Parts, which: MessageFilter) -> AsyncIterator[ServerSentEvent]:
    with parts.message_feed.follow(which) as follower:
        await parts.message_feed.heard()
        yield ServerSentEvent(comment="connected")
        while True:
            lost, messages = await follower.take()
            if lost:
                yield ServerSentEvent(event="lost", data=orjson.dumps({"lost": lost}).decode())
            for message in messages:
                yield ServerSentEvent(data=orjson.dumps(_view(message)).decode())


def _view(message: LoggedMessage) -> dict[str, object]:
    return message._asdict() | {"repairs": message.repairs.split()}
