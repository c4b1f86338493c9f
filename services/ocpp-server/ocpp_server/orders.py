"""Orders from the bus to the stations connected here."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import orjson

from ocpp_server.answers import StationReply
from ocpp_server.availability import call_as_taken
from ocpp_server.registry import Registry
from ocpp_server.relay import Relay
from ocpp_server.station import Station
from shared.bus.port import Delivery, Inbox
from shared.contracts.charging import (
    ApplySetpoint,
    ClearProfiles,
    StartCharging,
    StopCharging,
)
from shared.contracts.message import ActionOutcome, Event
from shared.contracts.ocpp import AnswerFrame, CallOutcome, CallStation
from shared.contracts.station import ReadConfiguration, SendLocalList
from shared.errors import Refused, Unroutable

logger = logging.getLogger(__name__)


EventsOfCall: TypeAlias = Callable[[Station, str, str, StationReply], Sequence[Event]]
"""Action, payload and answer of a call -> the durable facts that follow from it."""


class Orders:
    """The handlers of this replica's inbox."""

    def __init__(
        self,
        registry: Registry,
        relay: Relay,
        *,
        actions: frozenset[str],
        events_of_call: EventsOfCall,
    ) -> None:
        self._registry = registry
        self._relay = relay
        self._actions = actions
        self._events_of_call = events_of_call

    def register(self, inbox: Inbox) -> None:
        """Take orders from an inbox."""
        inbox.on(ApplySetpoint, self.apply_setpoint)
        inbox.on(StartCharging, self.start_charging)
        inbox.on(StopCharging, self.stop_charging)
        inbox.on(ClearProfiles, self.clear_profiles)
        inbox.on(CallStation, self.call_station)
        inbox.on(ReadConfiguration, self.read_configuration)
        inbox.on(SendLocalList, self.send_local_list)
        inbox.on(AnswerFrame, self.answer_frame)

    async def apply_setpoint(self, delivery: Delivery[ApplySetpoint]) -> None:
        """Put a setpoint into the slot of its connector; returns at once."""
        self._station(delivery.message.station_id).driver.limits.put(delivery.message)

    async def start_charging(self, delivery: Delivery[StartCharging]) -> ActionOutcome:
        """RemoteStartTransaction (OCPP 1.6, 5.11)."""
        order = delivery.message
        payload = {"connectorId": order.connector, "idTag": order.token[:20]}
        reply = await self._station(order.station_id).call("RemoteStartTransaction", payload)
        return _action_outcome(reply)

    async def stop_charging(self, delivery: Delivery[StopCharging]) -> ActionOutcome:
        """RemoteStopTransaction (OCPP 1.6, 5.12) of what runs at the connector."""
        order = delivery.message
        station = self._station(order.station_id)
        running = await station.facilities.ledger.open_transactions(station.id)
        ids = [t.id for t in running if t.connector == order.connector]
        if not ids:
            return ActionOutcome(done=False, detail="no transaction runs at this connector")
        reply = await station.call("RemoteStopTransaction", {"transactionId": ids[-1]})
        return _action_outcome(reply)

    async def clear_profiles(self, delivery: Delivery[ClearProfiles]) -> ActionOutcome:
        """S11: delete the charging profiles and tell what the station says then."""
        order = delivery.message
        station = self._station(order.station_id)
        evse = station.evses.get(order.connector)
        if evse is None:
            raise Refused(f"the site has no EVSE at connector {order.connector} of {station.id}")
        verdict = await station.driver.limits.clear(evse)
        return ActionOutcome(done=verdict.gone, detail=verdict.detail)

    async def read_configuration(self, delivery: Delivery[ReadConfiguration]) -> ActionOutcome:
        """Have the configuration read again; returns at once."""
        self._station(delivery.message.station_id).driver.setup.read_again()
        return ActionOutcome(done=True, detail="it is being read")

    async def send_local_list(self, delivery: Delivery[SendLocalList]) -> ActionOutcome:
        """Send the site's tokens as local list (OCPP 1.6, 5.15), whatever the station has."""
        return await self._station(delivery.message.station_id).driver.setup.local_list.send_now()

    async def call_station(self, delivery: Delivery[CallStation]) -> CallOutcome:
        """Send any call of OCPP 1.6; its shape is checked, its sense is not."""
        order = delivery.message
        if order.action not in self._actions:
            raise Refused(f"OCPP 1.6 has no action {order.action!r}")
        if not _is_object(order.payload_text):
            raise Refused("the payload must be a JSON object")
        station = self._station(order.station_id)
        reply = await call_as_taken(
            station, order.action, order.payload_text, timeout_s=order.timeout_s
        )
        for event in self._events_of_call(station, order.action, order.payload_text, reply):
            await station.facilities.postman.publish(station.id, event)
        return _call_outcome(reply)

    async def answer_frame(self, delivery: Delivery[AnswerFrame]) -> None:
        """Hand a backend's answer to the station that waits for it."""
        self._relay.answered(delivery.message)

    def _station(self, station_id: str) -> Station:
        station = self._registry.station(station_id)
        if station is None:
            raise Unroutable(f"station {station_id} is not connected")
        return station


def _action_outcome(reply: StationReply) -> ActionOutcome:
    return ActionOutcome(done=reply.status == "Accepted", detail=reply.summary)


def _call_outcome(reply: StationReply) -> CallOutcome:
    return CallOutcome(
        outcome=reply.outcome,
        payload=reply.payload,
        payload_text=reply.payload_text,
        error_code=reply.error_code,
        error_description=reply.error_description,
    )


def _is_object(text: str) -> bool:
    try:
        payload: Any = orjson.loads(text)
    except ValueError:
        return False
    return isinstance(payload, dict)
