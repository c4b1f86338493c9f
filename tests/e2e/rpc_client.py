"""Runs the ``ocpp-rpc`` station of ``ocpp_rpc/station.mjs`` and keeps what it recorded."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Line = dict[str, Any]
Payload = dict[str, Any]
STATION = Path(__file__).parent / "ocpp_rpc" / "station.mjs"
SESSION_WITHIN_S = 60
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Wire:
    """What the client recorded."""

    lines: list[Line]
    complaints: str
    """What node printed to standard error."""

    @property
    def end(self) -> Line:
        """How it ended. Parkade may still call it between its last word and its goodbye."""
        ends = [line for line in self.lines if line.get("event") in {"done", "failed"}]
        assert len(ends) == 1, f"{self.lines[-3:]} {self.complaints}"
        return ends[0]

    @property
    def violations(self) -> list[Line]:
        """Frames that broke the schema."""
        return [line for line in self.lines if line.get("event") == "violation"]

    def calls(self, direction: str) -> list[tuple[str, Payload]]:
        """Calls that the client sent or received, in order."""
        frames = [line["frame"] for line in self.lines if line.get("direction") == direction]
        return [(frame[2], frame[3]) for frame in frames if frame[0] == 2]

    def answer_to(self, action: str) -> Payload:
        """The answer that the client got to its first call of an action."""
        frames = [line["frame"] for line in self.lines if "frame" in line]
        call = next(frame for frame in frames if frame[0] == 2 and frame[2] == action)
        answer = next(frame for frame in frames if frame[0] in {3, 4} and frame[1] == call[1])
        assert answer[0] == 3, f"{action} was answered with {answer}"
        payload: Payload = answer[2]
        return payload


async def record(
    client_package: Path,
    *,
    at: tuple[str, Callable[[Line], Awaitable[None]]] | None = None,
    **wanted: Any,
) -> Wire:
    """Run the client to its end.

    ``at`` is (event, what to do): done once, when the client tells of the event, while it goes on.
    """
    async with _running(client_package, wanted) as process, asyncio.timeout(SESSION_WITHIN_S):
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        async with asyncio.TaskGroup() as group:
            complaints = group.create_task(process.stderr.read())
            async for text in process.stdout:
                lines.append(json.loads(text))
                if at is not None and lines[-1].get("event") == at[0]:
                    group.create_task(_do(at[1], lines[-1]))
                    at = None
        await process.wait()
    told = complaints.result().decode()
    assert lines, told
    return Wire(lines, told)


async def _do(act: Callable[[Line], Awaitable[None]], line: Line) -> None:
    await act(line)


@contextlib.asynccontextmanager
async def _running(
    client_package: Path, wanted: dict[str, Any]
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("node", str(STATION), json.dumps(wanted), str(client_package)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
