"""A charge point that gives no billable message up: it repeats what was not answered, as it was.

That is what OCPP 1.6 (4.8 to 4.10, field notes 5.2 and 5.3) makes of an outage. It writes down what
was acknowledged, so that a test can compare that with the databases.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

Payload = dict[str, Any]
CONNECTOR, TOKEN = 1, "CARD-1"
PATIENCE_S = 40.0
"""Longer than any wait of the server's; a box that hears nothing for longer hangs up."""
AGAIN_AFTER_S = 0.2
METER_STEP_WH = 1_000_000
"""Boxes count on from different readings, so every value in the database tells whose it is."""
ANSWERS: dict[str, Payload] = {
    "ChangeConfiguration": {"status": "Accepted"},
    "ClearChargingProfile": {"status": "Accepted"},
    "GetConfiguration": {"configurationKey": []},
    "SetChargingProfile": {"status": "Accepted"},
}


class Unanswered(Exception):
    """The connection ended, or nobody answered, or the answer was a CALLERROR."""


class Link:
    """One connection. One call goes out at a time; what comes in is answered at once."""

    def __init__(self, socket: ClientConnection, *, separators: tuple[str, str]) -> None:
        self._socket = socket
        self._separators = separators
        self._call_id = ""
        self._answer: asyncio.Future[list[Any]] | None = None

    async def ask(self, call_id: str, action: str, payload: Payload) -> Payload:
        """Return the payload of the CALLRESULT. Raises ``Unanswered``."""
        self._call_id = call_id
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._send([2, call_id, action, payload])
                frame = await self._answer
        except TimeoutError:
            await self._socket.close()
            raise Unanswered(f"{action}: silence") from None
        except ConnectionClosed as error:
            raise Unanswered(f"{action}: {error}") from error
        if frame[0] != 3:
            raise Unanswered(f"{action}: {frame}")
        answer: Payload = frame[2]
        return answer

    async def read(self) -> None:
        """Take what comes until the connection ends."""
        try:
            async for text in self._socket:
                await self._take(json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(Unanswered("disconnected"))

    async def _take(self, frame: list[Any]) -> None:
        if frame[0] == 2:
            answer = ANSWERS.get(frame[2])
            known = [3, frame[1], answer]
            unknown = [4, frame[1], "NotSupported", "", {}]
            await self._send(unknown if answer is None else known)
        elif frame[1] == self._call_id and self._answer is not None and not self._answer.done():
            self._answer.set_result(frame)

    async def _send(self, frame: list[Any]) -> None:
        await self._socket.send(json.dumps(frame, separators=self._separators))


@dataclass
class Charge:
    """A transaction as the box knows it; only what was acknowledged is in here."""

    station_id: str
    start: Payload
    ids: list[int] = field(default_factory=list)
    """The answer to each time that it was started: one, and the same again for each repetition."""
    values: list[tuple[str, int]] = field(default_factory=list)
    """(timestamp, energy) of every acknowledged value."""
    stop: Payload | None = None

    @property
    def transaction_id(self) -> int:
        """As it was given first."""
        return self.ids[0]


class Box:
    """One charge point with one connector; ``run`` keeps it connected."""

    def __init__(self, url: str, number: int) -> None:
        self.identity = f"BOX-{number:03}"
        self.charges: list[Charge] = []
        """Every transaction whose start was acknowledged."""
        self.connections = 0
        """How often it was booted."""
        self.repeats = 0
        """How often it repeated what was not answered."""
        self._url = f"{url}/{self.identity}"
        self._same_id = bool(number % 2)
        """Repeat with the message id it had; others take a new one. Real boxes do both."""
        self._separators = (", ", ": ") if number % 4 == 3 else (",", ":")
        """JSON with blanks and without: both are in the field."""
        self._energy_wh = number * METER_STEP_WH
        self._link: Link | None = None
        self._booted = asyncio.Event()

    # --- what connects it ---

    async def run(self) -> None:
        """Stay connected, whatever happens, until cancelled."""
        while True:
            try:
                await self._connect()
            except* (OSError, WebSocketException, TimeoutError, Unanswered):
                pass
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _connect(self) -> None:
        protocols = [Subprotocol("ocpp1.6")]
        async with (
            connect(self._url, subprotocols=protocols, compression=None, proxy=None) as socket,
            asyncio.TaskGroup() as group,
        ):
            link = Link(socket, separators=self._separators)
            reading = group.create_task(link.read())
            await self._boot(link)
            self._link = link
            self.connections += 1
            self._booted.set()
            try:
                await reading
            finally:
                self._booted.clear()

    async def _boot(self, link: Link) -> None:
        boot = {"chargePointVendor": "Parkade", "chargePointModel": "Persistent box"}
        while (await link.ask(_new_id(), "BootNotification", boot))["status"] != "Accepted":
            await asyncio.sleep(AGAIN_AFTER_S)

    # --- what it does ---

    @property
    def running(self) -> Charge | None:
        """The transaction that is open."""
        last = self.charges[-1] if self.charges else None
        return last if last is not None and last.stop is None else None

    async def charge(self, *, is_over: Callable[[], bool], pause_s: float) -> None:
        """One transaction, with a value every ``pause_s``; at least one."""
        charge = await self._start()
        connections = self.connections
        while not is_over() or not charge.values:
            if connections != self.connections:
                connections = self.connections
                await self._start_again(charge)
            await self._measure(charge)
            await asyncio.sleep(pause_s)
        await self._stop(charge)

    async def _start(self) -> Charge:
        start = {
            "connectorId": CONNECTOR,
            "idTag": TOKEN,
            "meterStart": self._next_energy_wh(),
            "timestamp": _now(),
        }
        charge = Charge(self.identity, start)
        await self._start_again(charge)
        self.charges.append(charge)
        return charge

    async def _start_again(self, charge: Charge) -> None:
        """As a box does that was switched off before it wrote the answer down."""
        answer = await self._deliver("StartTransaction", charge.start)
        charge.ids.append(answer["transactionId"])

    async def _measure(self, charge: Charge) -> None:
        at, energy_wh = _now(), self._next_energy_wh()
        sampled = {
            "value": str(energy_wh),
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        }
        payload = {
            "connectorId": CONNECTOR,
            "transactionId": charge.transaction_id,
            "meterValue": [{"timestamp": at, "sampledValue": [sampled]}],
        }
        await self._deliver("MeterValues", payload)
        charge.values.append((at, energy_wh))

    async def _stop(self, charge: Charge) -> None:
        stop = {
            "transactionId": charge.transaction_id,
            "idTag": TOKEN,
            "meterStop": self._next_energy_wh(),
            "timestamp": _now(),
            "reason": "Local",
        }
        await self._deliver("StopTransaction", stop)
        charge.stop = stop

    async def _deliver(self, action: str, payload: Payload) -> Payload:
        """Send it until it is answered."""
        call_id = _new_id()
        while True:
            await self._booted.wait()
            assert self._link is not None
            try:
                return await self._link.ask(call_id, action, payload)
            except Unanswered:
                self.repeats += 1
                call_id = call_id if self._same_id else _new_id()
                await asyncio.sleep(AGAIN_AFTER_S)

    def _next_energy_wh(self) -> int:
        self._energy_wh += 1
        return self._energy_wh


def _new_id() -> str:
    return uuid4().hex


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
