"""Messages and handlers for the contract tests of the bus."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.bus.port import Delivery
from shared.bus.topology import DurableQueue, QueueKind
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode
from shared.contracts.message import Reply
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.session import SessionEnded, SessionStarted
from shared.units import PhaseAmps

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

SMALL_QUEUE = DurableQueue(
    name="test.small",
    service="nobody",
    kind=QueueKind.WORK,
    events=(MeterSampled,),
    max_length=3,
)
SHARED_QUEUE = replace(SMALL_QUEUE, name="test.shared", max_length=100, single_active=False)


def started(session_id: str) -> SessionStarted:
    """Return a billing fact."""
    return SessionStarted(
        session_id=session_id, evse_id="bay 1.left", station_id="CP#1", connector=1, started_at=NOON
    )


def ended(session_id: str) -> SessionEnded:
    """Return another billing fact."""
    return SessionEnded(
        session_id=session_id, evse_id="bay 1.left", station_id="CP#1", connector=1, ended_at=NOON
    )


def sample(power_w: float, meter_id: str = "main") -> MeterSampled:
    """Return a transient event, told apart by its power."""
    return MeterSampled(
        meter_id=meter_id, sampled_at=NOON, current_a=PhaseAmps(l1=1.5), power_w=power_w
    )


def setpoint(revision: int, station_id: str = "CP#1") -> ApplySetpoint:
    """Return a command."""
    return ApplySetpoint(
        station_id=station_id,
        evse_id="bay 1.left",
        connector=1,
        revision=revision,
        limit_a=16.0,
        lease_s=120,
        reason=Reason(code=ReasonCode.CIRCUIT, circuit="uv3"),
    )


def call(action: str = "Reset", station_id: str = "CP#1") -> CallStation:
    """Return a request."""
    return CallStation(station_id=station_id, action=action, payload_text="{}")


ANSWERED = CallOutcome(outcome=CallResult.ANSWERED, payload={"status": "Accepted"})


class Recorder:
    """A handler of any kind that remembers what it got and may be told to fail or to wait."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.deliveries: list[Delivery[Any]] = []
        self.batches: list[int] = []
        self.fail: Callable[[Any], Exception | None] = lambda _: None
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.waits = 0
        """How many calls wait to go on."""
        self._reply = reply

    @property
    def messages(self) -> list[Any]:
        """What was handled, in order."""
        return [delivery.message for delivery in self.deliveries]

    async def one(self, delivery: Delivery[Any]) -> Reply | None:
        """Handle an order."""
        await self._handle([delivery])
        return self._reply

    async def event(self, delivery: Delivery[Any]) -> None:
        """Handle an event."""
        await self._handle([delivery])

    async def batch(self, deliveries: Sequence[Delivery[Any]]) -> None:
        """Handle a batch."""
        self.batches.append(len(deliveries))
        await self._handle(deliveries)

    async def _handle(self, deliveries: Sequence[Delivery[Any]]) -> None:
        self.waits += 1
        await self.may_go_on.wait()
        self.waits -= 1
        for delivery in deliveries:
            if (failure := self.fail(delivery.message)) is not None:
                raise failure
        self.deliveries.extend(deliveries)


class Evictions:
    """Remembers who was evicted by which epoch."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    async def __call__(self, address: Any, epoch: int) -> None:
        self.heard.append((address.name, epoch))
