"""A central system for tests of stations: checks every frame against the schemas of OCPP 1.6."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs
from websockets.asyncio.server import ServerConnection, serve

Payload = dict[str, Any]
Answer = Payload | Callable[[Payload], Payload]


@cache
def _schema(name: str) -> Any:
    text = files("ocpp").joinpath(f"v16/schemas/{name}.json").read_text("utf-8-sig")
    return jsonschema_rs.validator_for(json.loads(text))


def _accept_start(_payload: Payload) -> Payload:
    _accept_start.last += 1  # type: ignore[attr-defined]
    return {"transactionId": _accept_start.last, "idTagInfo": {"status": "Accepted"}}  # type: ignore[attr-defined]


_accept_start.last = 100  # type: ignore[attr-defined]


class FakeCsms:
    """Takes one station at a time. What breaks the schema is in ``violations``."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[tuple[str, Payload]] = []
        self.violations: list[str] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.subprotocols: list[str | None] = []
        self.answers: dict[str, Answer] = {
            "BootNotification": self._boot_answer("Accepted"),
            "Authorize": {"idTagInfo": {"status": "Accepted"}},
            "StartTransaction": _accept_start,
            "StopTransaction": {},
            "MeterValues": {},
            "StatusNotification": {},
            "Heartbeat": {"currentTime": "2026-01-01T00:00:00Z"},
            "DataTransfer": {"status": "Accepted", "data": "ok"},
        }
        self._socket: ServerConnection | None = None
        self._awaited: dict[str, asyncio.Future[Payload]] = {}
        self._number = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeCsms"]:
        """Serve on a free port."""
        async with serve(self._serve, "127.0.0.1", 0, select_subprotocol=self._choose) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self

    @property
    def url(self) -> str:
        """Where stations connect."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def is_connected(self) -> bool:
        """A station is there."""
        return self._socket is not None

    def boots_with(self, status: str, interval: int = 300) -> None:
        """Answer boots like this from now on."""
        self.answers["BootNotification"] = self._boot_answer(status, interval)

    def of(self, action: str) -> list[Payload]:
        """Return the payloads of one action."""
        return [payload for called, payload in self.calls if called == action]

    async def call(self, action: str, **payload: Any) -> Payload:
        """Send a call and return the answer; a CALLERROR is returned as ``{"error": code}``."""
        assert self._socket is not None, "no station is connected"
        self._number += 1
        call_id = str(self._number)
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._awaited[call_id] = answer
        await self._socket.send(json.dumps([2, call_id, action, payload]))
        async with asyncio.timeout(5):
            result = await answer
        if "error" not in result:
            self._check(f"{action}Response", result)
        return result

    async def drop(self) -> None:
        """Close the station's connection."""
        assert self._socket is not None
        await self._socket.close(1001, "going")

    def _choose(self, _socket: ServerConnection, offered: Any) -> Any:
        return "ocpp1.6" if "ocpp1.6" in offered else None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.headers.append(dict(socket.request.headers.raw_items()))
        self.subprotocols.append(socket.subprotocol)
        self._socket = socket
        async for text in socket:
            frame = json.loads(text)
            if frame[0] == 2:
                await socket.send(json.dumps(self._answer(*frame[1:])))
            else:
                result = frame[2] if frame[0] == 3 else {"error": frame[2]}
                self._awaited.pop(frame[1]).set_result(result)
        if self._socket is socket:
            self._socket = None

    def _answer(self, call_id: str, action: str, payload: Payload) -> list[Any]:
        self._check(action, payload)
        self.calls.append((action, payload))
        answer = self.answers[action]
        if callable(answer):
            answer = answer(payload)
        if "error" in answer:
            return [4, call_id, answer["error"], "", {}]
        return [3, call_id, answer]

    def _check(self, name: str, payload: Payload) -> None:
        self.violations += [f"{name}: {e.message}" for e in _schema(name).iter_errors(payload)]

    @staticmethod
    def _boot_answer(status: str, interval: int = 300) -> Payload:
        return {"status": status, "currentTime": "2026-01-01T00:00:00Z", "interval": interval}
