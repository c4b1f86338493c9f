"""``/events`` (server-sent events) and ``/live`` (WebSocket): what happens, as it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, WebSocket, WebSocketDisconnect
from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.deps import Parts, PartsDep, check_token, presented_token, require_follower
from api.live import LiveView
from api.problems import ApiProblem, problem_response
from api.watching import Watcher

HEARTBEAT_S = 15
SEND_WITHIN_S = 10.0
PACE_S = 0.2
"""Changes are gathered for this long, so that a page is told five times a second at most."""

router = APIRouter(tags=["streams"])


@router.get(
    "/events",
    summary="Follow all events (server-sent events)",
    dependencies=[Depends(require_follower)],
    response_class=EventSourceResponse,
)
async def follow_events(
    parts: PartsDep,
    topics: Annotated[
        list[str] | None, Query(description="patterns such as session.*; repeat or a,b")
    ] = None,
) -> EventSourceResponse:
    """Each event is JSON: ``topic``, ``time`` and ``data``. A comment is sent every 15 s."""
    patterns = [part for text in topics or () for part in text.split(",") if part]
    return EventSourceResponse(
        _sent_events(parts, patterns), ping=HEARTBEAT_S, send_timeout=SEND_WITHIN_S
    )


async def _sent_events(parts: Parts, patterns: list[str]) -> AsyncIterator[ServerSentEvent]:
    with parts.stream.follow(patterns) as follower:
        yield ServerSentEvent(comment="connected")
        async for event in follower.events():
            yield ServerSentEvent(data=event.text, id=event.message_id)


@router.websocket("/live")
async def follow_live(websocket: WebSocket, parts: PartsDep) -> None:
    """A snapshot first, then changes, until either side closes."""
    try:
        await check_token(parts, presented_token(websocket))
    except ApiProblem as problem:
        await websocket.send_denial_response(problem_response(problem))
        return
    await websocket.accept()
    try:
        with parts.live.watchers.watch() as watcher:
            async with asyncio.TaskGroup() as group:
                group.create_task(_send_live(websocket, parts.live, watcher))
                await _until_closed(websocket)
    except* (WebSocketDisconnect, TimeoutError):
        pass  # the page was closed, or does not take what is sent


async def _until_closed(websocket: WebSocket) -> None:
    """Ignore what the client says, which is nothing, and raise when it leaves."""
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))


async def _send_live(websocket: WebSocket, live: LiveView, watcher: Watcher) -> None:
    await _send(websocket, {"type": "snapshot", **live.snapshot()})
    while True:
        changed = await watcher.changes()
        items = [
            {"kind": kind, "id": name, "value": live.value(kind, name)} for kind, name in changed
        ]
        await _send(websocket, {"type": "changes", "items": items})
        await asyncio.sleep(PACE_S)


async def _send(websocket: WebSocket, body: dict[str, object]) -> None:
    async with asyncio.timeout(SEND_WITHIN_S):
        await websocket.send_text(to_json(body).decode())
