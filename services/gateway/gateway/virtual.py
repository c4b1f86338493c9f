"""Plays an OCPP 1.6 charge point for outlets that speak something else (S12).

The state machine is ``domain``; here its effects happen: they are written to the outbox, or asked
at the backend.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from gateway.conversation import Answer
from gateway.deeds import FINISHED, write_down
from gateway.domain.answers import Outcome
from gateway.domain.charge_point import ChargePoint
from gateway.domain.charging_desk import ChargingDesk
from gateway.domain.connector import Connector
from gateway.domain.effects import (
    AskAuthorization,
    Effect,
    End,
    OpenTransaction,
    Reconnect,
    Tell,
    Vacated,
)
from gateway.domain.frames import CallResult
from gateway.domain.payloads import Payload, from_text, to_text
from gateway.domain.roster import PlannedConnector, UplinkPlan
from gateway.domain.smart_charging import Running
from gateway.outbox import Outbox, Queued, Transaction
from gateway.uplink import Uplink
from shared.clock import Clock
from shared.contracts.evse import EvseObserved
from shared.errors import DeviceUnreachable, StoreUnavailable
from shared.ids import pseudonym

logger = logging.getLogger(__name__)

TO_BACKEND_LIMIT = 100

Policy = Callable[[PlannedConnector, str], bool]
"""Tells whether a token may charge at an outlet while the backend is away."""


class VirtualChargePoint:
    """The outlets of one charge point that Parkade itself plays. It may have none.

    Silence: without the backend, transactions go on, and new ones begin by ``policy``.
    """

    def __init__(
        self,
        plan: UplinkPlan,
        machine: ChargePoint,
        desk: ChargingDesk,
        *,
        outbox: Outbox,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._machine = machine
        self._desk = desk
        self._outbox = outbox
        self._policy = policy
        self._clock = clock
        self._uplink: Uplink | None = None
        self._todo: deque[Effect] = deque()  # these are facts, so nothing may be dropped
        self._doing = asyncio.Lock()
        self._to_backend: asyncio.Queue[AskAuthorization | Tell | Reconnect] = asyncio.Queue(
            TO_BACKEND_LIMIT + len(plan.connectors)
        )
        self.was_seen = asyncio.Event()
        self._by_evse = {c.evse_id: c for c in machine.connectors.values()}

    def speak_through(self, uplink: Uplink) -> None:
        """Use this uplink for what is asked or told at once."""
        self._uplink = uplink

    def restore(self, transactions: Iterable[Transaction]) -> None:
        """Take up the transactions that were open when the last run ended."""
        for kept in transactions:
            connector = self._by_evse.get(kept.evse_id)
            if connector is not None and kept.uplink == self._plan.uplink_id:
                connector.resume(_open(kept, connector.number))
        self._sync(self._clock.now())

    async def run(self, tick_s: float) -> None:
        """Let time pass at the outlets, and ask what has to be asked, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick_for_ever(tick_s))
            group.create_task(self._turn_to_backend())

    async def observe(self, seen: EvseObserved) -> None:
        """Take in what is seen at an outlet."""
        connector = self._by_evse.get(seen.evse_id)
        if connector is not None:
            self.was_seen.set()
            now = self._clock.now()
            await self.do([*connector.observe(seen, now), *self._machine.report(now)])

    def handle(self, action: str, payload: Payload) -> Outcome:
        """Answer a call of the backend."""
        return self._machine.handle(action, payload, self._clock.now())

    async def delivered(self, message: Queued, answer: Answer) -> None:
        """Take in what the backend said to StartTransaction; the rest concerns nobody here."""
        if message.action != "StartTransaction":
            return
        for connector in self._machine.connectors.values():
            transaction = connector.transaction
            if transaction is not None and transaction.key == message.transaction_key:
                await self.do(self._started(connector, answer))

    def remember(self, effects: Iterable[Effect]) -> None:
        """Have effects happen soon, whatever becomes of the caller."""
        self._todo.extend(effects)
        self._sync(self._clock.now())

    async def do(self, effects: Iterable[Effect]) -> None:
        """Have effects happen, in order. What the store does not take now is tried again."""
        self.remember(effects)
        async with self._doing:
            while self._todo:
                try:
                    await self._do_one(self._todo[0])
                except StoreUnavailable as error:
                    logger.warning("outbox: %s", error)
                    return
                self._todo.popleft()

    def _started(self, connector: Connector, answer: Answer) -> list[Effect]:
        now = self._clock.now()
        if not isinstance(answer, CallResult):
            # Nobody would ever pay for it: the backend has refused its start for good.
            return connector.stop("DeAuthorized", now)
        told = from_text(answer.payload_text)
        accepted = _is_accepted(told)
        return connector.started(int(told["transactionId"]), accepted=accepted, now=now)

    async def _do_one(self, effect: Effect) -> None:
        match effect:
            case AskAuthorization() | Tell() | Reconnect():
                self._line_up(effect)
            case Vacated(connector):
                await self._vacate(connector)
            case _:
                async with self._outbox.writing() as batch:
                    await write_down(effect, batch, plan=self._plan, now=self._clock.now())
                if isinstance(effect, End):
                    self._todo.extend(self._desk.vacate(effect.transaction.connector))

    async def _vacate(self, connector: int) -> None:
        self._todo.extend(self._desk.vacate(connector))
        async with self._outbox.writing() as batch:
            await batch.keep(self._plan.uplink_id, f"{FINISHED}{connector}", "")

    async def _tell(self, action: str, payload: Payload) -> None:
        """Say something that matters only now."""
        if self._uplink is None:
            return
        try:
            await self._uplink.call(action, to_text(payload))
        except DeviceUnreachable as error:
            logger.info("%s not told: %s", action, error)

    async def _tick_for_ever(self, tick_s: float) -> None:
        while True:
            now = self._clock.now()
            self._sync(now)
            effects = [e for c in self._machine.connectors.values() for e in c.tick(now)]
            await self.do([*effects, *self._machine.report(now)])
            await asyncio.sleep(tick_s)

    def _line_up(self, effect: AskAuthorization | Tell | Reconnect) -> None:
        """Nobody waits here for the backend, least of all what is seen at other outlets."""
        is_crowded = self._to_backend.qsize() >= TO_BACKEND_LIMIT
        if is_crowded and not isinstance(effect, AskAuthorization):
            logger.warning("%s asks for more than can be told", self._plan.uplink_id)
            return
        self._to_backend.put_nowait(effect)

    async def _turn_to_backend(self) -> None:
        while True:
            match await self._to_backend.get():
                case AskAuthorization() as question:
                    await self._ask(question)
                case Tell(action, payload):
                    await self._tell(action, payload)
                case Reconnect():
                    if self._uplink is not None:
                        await self._uplink.reconnect()

    async def _ask(self, question: AskAuthorization) -> None:
        accepted = await self._may_charge(question)
        connector = self._machine.connectors[question.connector]
        logger.info(
            "token %s at %s %s",
            pseudonym(question.token),
            connector.evse_id,
            "accepted" if accepted else "not accepted",
        )
        now = self._clock.now()
        await self.do(connector.authorised(question.token, accepted=accepted, now=now))

    async def _may_charge(self, question: AskAuthorization) -> bool:
        planned = self._plan.connector(question.connector)
        if planned is None or self._uplink is None:
            return False
        try:
            answer = await self._uplink.call("Authorize", to_text({"idTag": question.token[:20]}))
        except DeviceUnreachable:
            return self._policy(planned, question.token)
        return isinstance(answer, CallResult) and _is_accepted(from_text(answer.payload_text))

    def _sync(self, now: datetime) -> None:
        """Tell profiles which transactions run, and outlets what profiles allow."""
        for number, connector in self._machine.connectors.items():
            transaction = connector.transaction
            self._desk.outlets[number].running = (
                None
                if transaction is None
                else Running(transaction.started_at, transaction.backend_id)
            )
        for number, connector in self._machine.connectors.items():
            connector.limit_a = self._desk.limit_a(number, now)


def _is_accepted(told: Payload) -> bool:
    info = told.get("idTagInfo")
    return isinstance(info, dict) and info.get("status") == "Accepted"


def _open(kept: Transaction, number: int) -> OpenTransaction:
    return OpenTransaction(
        key=kept.key,
        connector=number,
        token=kept.token,
        meter_start_wh=kept.meter_start_wh,
        started_at=kept.started_at,
        backend_id=kept.backend_id,
    )
