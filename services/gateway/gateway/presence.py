"""One charge point at one backend: its uplink, its outlets, and who answers which call."""

import asyncio
import importlib.metadata
import logging
from collections.abc import Awaitable, Callable, Iterable

from gateway.backend_tls import ClientPairs
from gateway.conversation import Answer
from gateway.courier import Courier
from gateway.deeds import FINISHED
from gateway.domain.answers import Fault, Outcome, fault, status
from gateway.domain.charge_point import AVAILABILITY, CONFIG, ChargePoint
from gateway.domain.charging_desk import PROFILES, ChargingDesk, Outlet
from gateway.domain.configuration import Configuration
from gateway.domain.connector import Connector
from gateway.domain.frames import Call, CallError, CallResult
from gateway.domain.payloads import Payload, boot, from_text, to_text
from gateway.domain.roster import PlannedConnector, UplinkPlan
from gateway.domain.smart_charging import Running
from gateway.outbox import Outbox, Queued, Transaction
from gateway.reachability import Reachability
from gateway.relay import StationRelay
from gateway.transparent import BOOT
from gateway.uplink import Patience, Uplink
from gateway.virtual import Policy, VirtualChargePoint
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.charging import PermissionChanged
from shared.contracts.evse import EvseObserved
from shared.contracts.ocpp import AnswerFrame
from shared.errors import ParkadeError

logger = logging.getLogger(__name__)

VENDOR = "Parkade"
PERMISSION_SOURCE = "backend"


class Presence:
    """A charge point as its backend sees it, whatever its outlets speak."""

    def __init__(
        self,
        plan: UplinkPlan,
        outbox: Outbox,
        bus: Bus,
        *,
        kept: dict[str, str],
        policy: Policy,
        patience: Patience,
        clock: Clock,
        pairs: ClientPairs,
    ) -> None:
        self.plan = plan
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._relay = StationRelay(plan, outbox, bus)
        self._reachability = Reachability(plan.uplink_id, outbox)
        self._configuration = Configuration(len(plan.connectors), _with_prefix(kept, CONFIG))
        self._desk = ChargingDesk(map(_outlet, plan.connectors), kept.get(PROFILES))
        self._connectors = _connectors(plan, self._configuration, kept)
        self._virtual = self._play(policy)
        self._courier = self._engage(patience)
        self.uplink = self._connect(patience, pairs)
        self._virtual.speak_through(self.uplink)

    async def run(self, tick_s: float) -> None:
        """Keep the charge point present at its backend until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._virtual.run(tick_s))
            group.create_task(self._speak())

    async def observe(self, seen: EvseObserved) -> None:
        """Take in what is seen at an outlet."""
        for planned in self.plan.connectors:
            if planned.evse.id == seen.evse_id and planned.is_transparent:
                await self._reachability.take(planned, seen, self._clock.now())
        await self._virtual.observe(seen)

    def restore(self, transactions: Iterable[Transaction]) -> None:
        """Take up the transactions that were open when the last run ended."""
        self._virtual.restore(transactions)

    async def follow(self, transactions: Iterable[Transaction]) -> None:
        """Take in which transactions run at OCPP stations; only the outbox knows."""
        running = {
            t.connector: t
            for t in transactions
            if t.uplink == self.plan.uplink_id and t.station_id is not None
        }
        for planned in self.plan.connectors:
            if planned.is_transparent:
                await self._follow(planned.number, running.get(planned.number))

    def permissions(self) -> list[PermissionChanged]:
        """Return what the backend allows at each outlet now (S25)."""
        now = self._clock.now()
        return [
            PermissionChanged(
                evse_id=planned.evse.id,
                source=PERMISSION_SOURCE,
                permitted=self._permits(planned),
                limit_a=self._desk.limit_a(planned.number, now),
                changed_at=now,
            )
            for planned in self.plan.connectors
        ]

    async def boot_text(self) -> str:
        """Return the payload of BootNotification: the station's own words where there is one."""
        if self.plan.single_station is not None:
            kept = await self._outbox.settings(self.plan.uplink_id)
            if BOOT in kept:
                return kept[BOOT]
        return to_text(_boot_payload(self.plan))

    async def booted(self, interval_s: int) -> None:
        """Take over the heartbeat interval of the backend."""
        self._configuration.change("HeartbeatInterval", str(interval_s))

    async def _speak(self) -> None:
        """A charge point that we play alone appears when one of its outlets has been seen."""
        if len(self._connectors) == len(self.plan.connectors):
            await self._virtual.was_seen.wait()
        await self.uplink.run()

    async def _follow(self, number: int, transaction: Transaction | None) -> None:
        outlet = self._desk.outlets[number]
        if transaction is not None:
            outlet.running = Running(transaction.started_at, transaction.backend_id)
        elif outlet.running is not None:
            outlet.running = None
            await self._virtual.do(self._desk.vacate(number))

    def _permits(self, planned: PlannedConnector) -> bool:
        """An OCPP station authorises by itself; any other needs a transaction."""
        connector = self._connectors.get(planned.number)
        return connector is None or connector.permits_charging

    def _play(self, policy: Policy) -> VirtualChargePoint:
        machine = ChargePoint(
            self._connectors,
            configuration=self._configuration,
            desk=self._desk,
            boot=_boot_payload(self.plan),
        )
        return VirtualChargePoint(
            self.plan,
            machine,
            self._desk,
            outbox=self._outbox,
            policy=policy,
            clock=self._clock,
        )

    def _engage(self, patience: Patience) -> Courier:
        return Courier(
            self.plan.uplink_id,
            self._outbox,
            delivered=self._delivered,
            clock=self._clock,
            call_s=patience.call_s,
            refused_pause_s=patience.refused_pause_s,
        )

    def _connect(self, patience: Patience, pairs: ClientPairs) -> Uplink:
        return Uplink(
            self.plan,
            self._courier,
            handler=self._called,
            speaker=self,
            patience=patience,
            clock=self._clock,
            pairs=pairs,
            publish=self._bus.publish,
        )

    async def _called(self, call: Call) -> tuple[Answer, Callable[[], Awaitable[None]]]:
        """Answer a call of the backend. Whatever goes wrong here is answered, and ends nothing."""
        try:
            outcome = await self._outcome_of(call)
        except ParkadeError as error:
            logger.warning("%s from the backend: %s", call.action, error)
            outcome = fault("InternalError")
        except Exception:
            logger.exception("%s from the backend failed", call.action)
            outcome = fault("InternalError")

        # Remembered before the answer goes out, because the connection may end meanwhile.
        self._virtual.remember(outcome.effects)
        if call.action == "ChangeConfiguration" and outcome.effects:
            self.uplink.heartbeat_s = float(self._configuration.number("HeartbeatInterval"))

        async def afterwards() -> None:
            await self._virtual.do(())

        return _frame(call, outcome), afterwards

    async def _outcome_of(self, call: Call) -> Outcome:
        payload = from_text(call.payload_text)
        await self._courier.settled()
        if call.action in ChargingDesk.ACTIONS:
            return self._charging(call.action, payload)
        station_id = await self._station_for(call, payload)
        if station_id is None:
            return self._virtual.handle(call.action, payload)
        if call.action == "RemoteStartTransaction" and "chargingProfile" in payload:
            return await self._start_with_profile(station_id, call, payload)
        return await self._relay.pass_on(
            station_id, call.action, payload, payload_text=call.payload_text
        )

    async def _start_with_profile(self, station_id: str, call: Call, payload: Payload) -> Outcome:
        """The profile stays here, and only as long as the station accepts the start."""
        number = payload.get("connectorId") or self.plan.of_station(station_id)[0].number
        try:
            self._desk.set_for_start(number, payload["chargingProfile"])
        except ValueError:
            return status("Rejected")
        outcome = await self._relay.pass_on(
            station_id, call.action, payload, payload_text=call.payload_text
        )
        if isinstance(outcome.answer, Fault) or "Accepted" not in outcome.answer:
            self._desk.vacate(number)
        return Outcome(outcome.answer, (self._desk.to_keep(),))

    def _charging(self, action: str, payload: Payload) -> Outcome:
        try:
            return self._desk.handle(action, payload, self._clock.now())
        except (KeyError, TypeError, ValueError, AttributeError):
            return fault("FormationViolation", f"{action} lacks a field or has a wrong one")

    async def _station_for(self, call: Call, payload: Payload) -> str | None:
        """Return the OCPP station that a call is for, or ``None`` when we answer for it."""
        transaction_id = payload.get("transactionId")
        if transaction_id is not None:
            planned = await self._relay.station_of_transaction(transaction_id)
        else:
            planned = self.plan.connector(payload.get("connectorId"))
        if planned is not None:
            return planned.station.id if planned.is_transparent else None
        return self.plan.single_station or self._station_for_start(call)

    def _station_for_start(self, call: Call) -> str | None:
        """Several OCPP stations, and none is named: one that charges nobody shall start."""
        if call.action != "RemoteStartTransaction" or self._connectors:
            return None
        free = (c for c in self.plan.connectors if self._desk.outlets[c.number].running is None)
        chosen = next(free, None)
        return chosen.station.id if chosen else None

    async def _delivered(self, message: Queued, answer: Answer) -> None:
        """Hand the backend's answer to whoever waits for it."""
        if message.station_id is None:
            await self._virtual.delivered(message, answer)
        elif message.wants_answer:
            await self._answer_station(message, answer)

    async def _answer_station(self, message: Queued, answer: Answer) -> None:
        assert message.station_id is not None  # noqa: S101 - the caller looked
        told = (
            {"payload_text": answer.payload_text}
            if isinstance(answer, CallResult)
            else {"error_code": answer.code, "error_description": answer.description}
        )
        try:
            await self._bus.send(
                AnswerFrame(station_id=message.station_id, frame_id=message.frame_id, **told)
            )
        except ParkadeError as error:
            logger.info("answer for station %s came too late: %s", message.station_id, error)


def _frame(call: Call, outcome: Outcome) -> Answer:
    if isinstance(outcome.answer, Fault):
        return CallError(call.message_id, outcome.answer.code, outcome.answer.description)
    return CallResult(call.message_id, outcome.answer)


def _outlet(planned: PlannedConnector) -> Outlet:
    return Outlet(planned.number, planned.evse.phases, planned.evse.max_a)


def _connectors(
    plan: UplinkPlan, configuration: Configuration, kept: dict[str, str]
) -> dict[int, Connector]:
    """Return the outlets that we play, as they were when the last run ended."""
    connectors: dict[int, Connector] = {}
    for planned in plan.connectors:
        if planned.is_transparent:
            continue
        connector = Connector(
            planned.number,
            planned.evse.id,
            fixed_token=planned.evse.fixed_token,
            configuration=configuration,
        )
        connector.is_operative = kept.get(f"{AVAILABILITY}{planned.number}") != "Inoperative"
        connector.has_finished = kept.get(f"{FINISHED}{planned.number}") == "yes"
        connectors[planned.number] = connector
    return connectors


def _with_prefix(kept: dict[str, str], prefix: str) -> dict[str, str]:
    return {name[len(prefix) :]: value for name, value in kept.items() if name.startswith(prefix)}


def _boot_payload(plan: UplinkPlan) -> Payload:
    first = plan.connectors[0].station
    stations = {connector.station.id for connector in plan.connectors}
    return boot(
        vendor=VENDOR,
        model=first.modbus.template if first.modbus else first.name,
        serial=first.id if len(stations) == 1 else plan.backend.client_id,
        firmware=importlib.metadata.version("parkade"),
    )
