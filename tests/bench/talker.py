"""One charge point of the load generator over all its connections: what it says, what it hears."""

import asyncio
import random
import ssl
import time
from dataclasses import dataclass

from tests.bench import frames
from tests.bench.station import LoadStation

WH_PER_STATION = 10_000_000
"""Energies of one station; so every MeterValues of every station differs in it."""
BACK_WITHIN_S = 3.0
"""Who was hung up on comes back some time within this, as boxes do (field notes 5.1, 8)."""
LONGEST_PAUSE_S = 8.0
"""Between two attempts."""


@dataclass(frozen=True, kw_only=True)
class Dial:
    """Where the server is."""

    port: int
    path: str = "/"
    tls: ssl.SSLContext | None = None


class Talker:
    """Says one thing after another, each again until it is answered, and takes the time.

    So of its MeterValues exactly the first ``acknowledged`` ones are acknowledged, and the
    energy of each tells which one it is.
    """

    def __init__(self, number: int, dial: Dial) -> None:
        self.identity = f"BENCH-{number}"
        self.latencies_s: list[float] = []
        self.acknowledged = 0
        self.errors = 0
        self.losses = 0
        self.skipped = 0
        """Times at which it should have said something and could not."""
        self.is_admitted = False
        self.admitted_at = 0.0
        """When it was last booted, on the machine's monotonic clock."""
        self.calls_heard = 0
        self.limited_at = 0.0
        """When it last answered to a limit of a lease, on the same clock."""
        self._dial = dial
        self._series = frames.MeterSeries(first_wh=number * WH_PER_STATION)
        self._action: str | None = None
        self._is_flooding = False
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered: tuple[str, str] | None = None
        """Action and payload."""
        self._is_waiting = False
        self._sent_at = 0.0
        self._station: LoadStation | None = None
        self._gone = asyncio.Event()

    @property
    def is_waiting(self) -> bool:
        """What it said has not been answered."""
        return self._is_waiting

    async def live(self, gate: asyncio.Semaphore) -> None:
        """Be connected and booted; come back whenever hung up on. For ever.

        Only the first time stations pass the ``gate``: those that were cut off together storm.
        """
        attempt = 0
        while True:
            try:
                if self.losses:
                    await self._come()
                else:
                    async with gate:
                        await self._come()
            except (OSError, TimeoutError):
                attempt += 1
                pause_s = min(LONGEST_PAUSE_S, 0.5 * 2**attempt)
                await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)
                continue
            attempt = 0
            await self._gone.wait()
            await asyncio.sleep(random.uniform(0.0, BACK_WITHIN_S))

    def flood(self, action: str) -> None:
        """Say this again and again, each time as soon as the last one is answered."""
        self._action, self._is_flooding = action, True
        self._say()

    def pace(self, action: str, *, every_s: float, first_in_s: float) -> None:
        """Say this at regular times; what is still unanswered then is left out."""
        self._action = action
        due = asyncio.get_running_loop().time() + first_in_s
        self._timer = asyncio.get_running_loop().call_at(due, self._tick, due, every_s)

    def rest(self) -> None:
        """Say nothing new."""
        self._action, self._is_flooding = None, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Hang up."""
        if self._station is not None:
            self._station.close()

    async def _come(self) -> None:
        """Connect and boot."""
        self._gone.clear()
        _, station = await asyncio.get_running_loop().create_connection(
            lambda: LoadStation(
                self.identity,
                path=self._dial.path,
                on_call=self._called,
                on_answer=self._answered,
                on_lost=self._lost,
            ),
            "127.0.0.1",
            self._dial.port,
            ssl=self._dial.tls,
        )
        self._station = station
        try:
            await station.boot()
        except BaseException:
            station.close()
            raise
        self.is_admitted = True
        self.admitted_at = time.monotonic()
        if self._is_flooding:
            self._say()

    def _tick(self, due: float, every_s: float) -> None:
        due += every_s
        self._timer = asyncio.get_running_loop().call_at(due, self._tick, due, every_s)
        if self.is_admitted and not self._is_waiting:
            self._say()
        else:
            self.skipped += 1

    def _say(self) -> None:
        if self._unanswered is None and self._action is not None:
            is_metered = self._action == "MeterValues"
            payload = self._series.next_payload() if is_metered else frames.HEARTBEAT
            self._unanswered = self._action, payload
        if self._unanswered is not None and self._station is not None and self.is_admitted:
            self._is_waiting = True
            self._sent_at = time.perf_counter()
            self._station.send(*self._unanswered)

    def _answered(self, payload: bytes) -> None:
        if not self._is_waiting or self._unanswered is None:
            return
        self._is_waiting = False
        self.latencies_s.append(time.perf_counter() - self._sent_at)
        if payload.startswith(b"[3"):
            self.acknowledged += self._unanswered[0] == "MeterValues"
            self._unanswered = None
        else:
            self.errors += 1
        if self._is_flooding:
            self._say()

    def _lost(self) -> None:
        if self.is_admitted:
            self.losses += 1
        self.is_admitted = self._is_waiting = False
        self._gone.set()

    def _called(self, _station: LoadStation, action: str, payload: bytes) -> None:
        self.calls_heard += 1
        if action == "SetChargingProfile" and b'"duration"' in payload:
            self.limited_at = time.monotonic()
