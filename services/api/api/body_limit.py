"""Reads the body of a request before the app sees it: bounded in size and in time."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import ApiProblem, problem_response

MOST_BYTES = 1 << 20
READ_WITHIN_S = 30.0


class BodyLimit:
    """Answers 413 to a body above 1 MiB and 408 to one that does not arrive in 30 s."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its whole body at hand."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                body = await _whole_body(receive)
        except TimeoutError:
            problem = ApiProblem(408, f"the body did not arrive within {READ_WITHIN_S:g} s")
            await problem_response(problem)(scope, receive, send)
        except ApiProblem as problem:
            await problem_response(problem)(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


async def _whole_body(receive: Receive) -> Message:
    """Return one message with the whole body, or the disconnection that came instead."""
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        piece = message.get("body", b"")
        size += len(piece)
        if size > MOST_BYTES:
            raise ApiProblem(
                413, f"the body is larger than {MOST_BYTES} bytes", headers={"Connection": "close"}
            )
        pieces.append(piece)
        if not message.get("more_body"):
            return {"type": "http.request", "body": b"".join(pieces), "more_body": False}


def _replay(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
