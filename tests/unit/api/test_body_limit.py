"""Bodies are bounded in size and time before the app sees them."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api import body_limit
from api.body_limit import MOST_BYTES, BodyLimit

HTTP: Scope = {"type": "http", "method": "PUT", "path": "/", "headers": []}


class Exchange:
    """One request through the limit, with an app that echoes how much it got."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = list(messages)
        self.sent: list[Message] = []
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if not self._messages:
            raise TimeoutError  # what a time limit around a silent client makes of it
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.got = [await receive(), await receive()]

    async def run(self, scope: Scope = HTTP) -> Any:
        await BodyLimit(self.app)(scope, self.receive, self.send)
        return json.loads(self.sent[1]["body"]) if self.sent else None


def part(size: int, *, more: bool) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


async def test_a_body_in_pieces_reaches_the_app_whole_and_then_the_disconnection() -> None:
    gone = {"type": "http.disconnect"}
    exchange = Exchange([part(3, more=True), part(4, more=False), gone])
    assert await exchange.run() is None
    assert exchange.got == [part(7, more=False), gone]


async def test_the_largest_body_is_accepted() -> None:
    exchange = Exchange([part(MOST_BYTES, more=False), {"type": "http.disconnect"}])
    assert await exchange.run() is None
    assert len(exchange.got[0]["body"]) == MOST_BYTES


@pytest.mark.parametrize("pieces", [[MOST_BYTES + 1], [MOST_BYTES, 1]])
async def test_a_larger_body_is_refused_without_reading_on(pieces: list[int]) -> None:
    exchange = Exchange([part(size, more=True) for size in pieces])
    assert (await exchange.run())["status"] == 413
    assert exchange.got == []


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    exchange = Exchange([part(1, more=True)])
    answer = await exchange.run()
    assert answer["status"] == 408
    assert f"{body_limit.READ_WITHIN_S:g} s" in answer["detail"]


async def test_a_client_that_leaves_early_is_passed_on() -> None:
    gone = {"type": "http.disconnect"}
    exchange = Exchange([gone, gone])
    assert await exchange.run() is None
    assert exchange.got[0] == gone


async def test_other_connections_are_not_touched() -> None:
    exchange = Exchange([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])
    assert await exchange.run({"type": "websocket"}) is None
    assert exchange.got[0] == {"type": "websocket.connect"}
