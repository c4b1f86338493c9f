"""Orders to stations, from load management and from operators, as they come in by the bus."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from modbus_bridge.context import Context
from modbus_bridge.domain.lease import Lease
from modbus_bridge.outlet import Outlet
from modbus_bridge.poller import StationPoller
from shared.bus.port import Delivery, Inbox
from shared.contracts.charging import (
    ApplySetpoint,
    ClearProfiles,
    SetpointOutcome,
    StartCharging,
    StopCharging,
)
from shared.contracts.message import ActionOutcome
from shared.contracts.ocpp import CallOutcome, CallStation
from shared.contracts.site import Mode
from shared.errors import DeviceUnreachable, Refused, Unroutable

ORDER_TIMEOUT_S = 10.0

FindStation = Callable[[str], StationPoller | None]
OperatorOrder = StartCharging | StopCharging | ClearProfiles


class Orders:
    """One handler for each kind of order."""

    def __init__(self, context: Context, find: FindStation) -> None:
        self._context = context
        self._find = find

    def route(self, inbox: Inbox) -> None:
        """Say which orders are understood here."""
        inbox.on(ApplySetpoint, self.apply_setpoint)
        inbox.on(StartCharging, self.start_charging)
        inbox.on(StopCharging, self.stop_charging)
        inbox.on(ClearProfiles, self.clear_profiles)
        inbox.on(CallStation, self.call_station)

    async def apply_setpoint(self, delivery: Delivery[ApplySetpoint]) -> None:
        """Take a setpoint over; the latest wins, and what becomes of it is told later."""
        order = delivery.message
        poller, outlet = self._outlet(order.station_id, order.connector)
        why_not = self._why_not()
        if why_not is not None:
            await poller.reports.setpoint_refused(order, why_not)
            return
        now = self._context.clock.now()
        # The lease runs from when it was given, not from when it arrived.
        given_at = min(now, delivery.meta.sent_at)
        lease = Lease(
            revision=order.revision,
            limit_a=order.limit_a if math.isfinite(order.limit_a) else 0.0,
            expires_at=given_at + timedelta(seconds=order.lease_s),
            phases=order.phases,
        )
        outlet.tenure = outlet.tenure.renewed(lease, now)
        poller.act_soon()

    async def start_charging(self, delivery: Delivery[StartCharging]) -> ActionOutcome:
        """End an operator's stop; how much may flow stays with load management."""
        order = delivery.message
        poller, outlet = self._for_operator(order)
        if not outlet.evse.enabled:
            return ActionOutcome(done=False, detail=f"EVSE {outlet.evse.id} is disabled")
        outlet.tenure = outlet.tenure.held(False)
        if outlet.sessions.open is None and outlet.sessions.token is None:
            outlet.sessions = replace(outlet.sessions, token=order.token)
        await self._act(poller, outlet)
        return ActionOutcome(done=True, detail="charging is up to load management and the vehicle")

    async def stop_charging(self, delivery: Delivery[StopCharging]) -> ActionOutcome:
        """Pause until the vehicle leaves or an operator starts again."""
        poller, outlet = self._for_operator(delivery.message)
        state = outlet.reading.state
        if state is not None and not state.has_vehicle:
            return ActionOutcome(done=False, detail=f"no vehicle is charging (state {state})")
        outlet.tenure = outlet.tenure.held(True)
        return await self._act(poller, outlet)

    async def clear_profiles(self, delivery: Delivery[ClearProfiles]) -> ActionOutcome:
        """S11 for Modbus: cancel the limit. While the EVSE is managed it is limited again soon."""
        poller, outlet = self._for_operator(delivery.message)
        outlet.tenure = outlet.tenure.cleared(self._context.clock.now())
        return await self._act(poller, outlet)

    async def call_station(self, delivery: Delivery[CallStation]) -> CallOutcome:
        """Refuse: there is no OCPP here."""
        raise Refused(f"{delivery.message.station_id} is a Modbus device, not an OCPP station")

    def _for_operator(self, order: OperatorOrder) -> tuple[StationPoller, Outlet]:
        why_not = self._why_not()
        if why_not is not None:
            raise Refused(why_not)
        return self._outlet(order.station_id, order.connector)

    def _outlet(self, station_id: str, connector: int) -> tuple[StationPoller, Outlet]:
        poller = self._find(station_id)
        if poller is None:
            raise Unroutable(f"station {station_id} is not connected any more")
        outlet = poller.outlet(connector)
        if outlet is None:
            raise Refused(f"station {station_id} has no EVSE at connector {connector}")
        return poller, outlet

    def _why_not(self) -> str | None:
        mode = self._context.site.current.mode
        if mode is Mode.LOAD_MANAGEMENT:
            return None
        return f"in mode {mode} devices are read and never written (S1)"

    async def _act(self, poller: StationPoller, outlet: Outlet) -> ActionOutcome:
        try:
            async with asyncio.timeout(ORDER_TIMEOUT_S):
                applied = await poller.act_now(outlet)
        except (TimeoutError, DeviceUnreachable) as error:
            return ActionOutcome(done=False, detail=f"the box does not answer: {error}")
        if applied is None:
            return ActionOutcome(done=True, detail="written with the next poll")
        done = applied.outcome is SetpointOutcome.ACCEPTED
        return ActionOutcome(done=done, detail=applied.detail or f"limit {applied.limit_a:g} A")
