"""What a station has to tell: that it came and went, what is seen, what became of a limit."""

from modbus_bridge.context import Context
from modbus_bridge.domain.lease import Cause, Desired
from modbus_bridge.domain.reading import number
from modbus_bridge.link import Unit
from modbus_bridge.outlet import Outlet
from modbus_bridge.writer import Applied, outcome_for
from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.evse import EvseObserved
from shared.contracts.message import station_address
from shared.contracts.site import Station
from shared.contracts.station import StationBooted, StationConnected, StationDisconnected

TELL_AGAIN_S = 5.0
"""An observation is repeated after this time, even if nothing changed."""


class StationReports:
    """Publishes for one station, and owns its address while it is connected."""

    def __init__(self, station: Station, *, unit: Unit, context: Context) -> None:
        self._station = station
        self._unit = unit
        self._context = context
        self._connected: StationConnected | None = None
        self._booted: StationBooted | None = None
        self._told: dict[str, tuple[EvseObserved, float]] = {}
        self._reported: dict[str, tuple[int, SetpointOutcome, float]] = {}

    @property
    def is_online(self) -> bool:
        """The device is connected and its address is ours."""
        return self._connected is not None

    async def connected(self, outlet: Outlet) -> None:
        """Take the station's address with a new epoch, and tell that it is there and what it is."""
        self._next_epoch()
        await self._context.inbox.own(station_address(self._station.id), self._epoch)
        self._connected = StationConnected(
            station_id=self._station.id,
            epoch=self._epoch,
            protocol="modbus",
            connected_at=self._context.clock.now(),
            peer=str(self._unit),
        )
        self._booted = self._identity(outlet)
        self._told.clear()
        await self._context.bus.publish(self._connected)
        await self._context.bus.publish(self._booted)

    async def disconnected(self, reason: str) -> None:
        """Tell that the station is gone, and give its address up."""
        if not self.is_online:
            self._next_epoch()
            return
        self._connected = None
        await self._context.inbox.release(station_address(self._station.id), self._epoch)
        await self._context.bus.publish(
            StationDisconnected(
                station_id=self._station.id,
                epoch=self._epoch,
                disconnected_at=self._context.clock.now(),
                reason=reason,
            )
        )

    async def observed(self, outlet: Outlet, *, at_once: bool = False) -> None:
        """Tell what is seen at an outlet, if it changed or was not told for a while."""
        now, now_s = self._context.clock.now(), self._context.clock.monotonic()
        seen = outlet.observed(epoch=self._epoch, online=self.is_online, now=now)
        told, told_s = self._told.get(outlet.evse.id, (None, float("-inf")))
        is_news = told is None or told.model_copy(update={"observed_at": now}) != seen
        if not (is_news or at_once or now_s - told_s >= TELL_AGAIN_S):
            return
        self._told[outlet.evse.id] = (seen, now_s)
        await self._context.bus.publish(seen)

    async def setpoint(self, outlet: Outlet, wanted: Desired, applied: Applied) -> None:
        """Tell once what became of the present setpoint, or that its lease ran out."""
        lease = outlet.tenure.lease
        revision = 0 if lease is None else lease.revision
        if wanted.cause is Cause.FALLBACK and applied.outcome is SetpointOutcome.ACCEPTED:
            expired = SetpointOutcome.LEASE_EXPIRED
            await self._tell_outcome(outlet, revision, Applied(expired, applied.limit_a))
        elif lease is not None:
            told = outcome_for(lease.limit_a, wanted, applied)
            await self._tell_outcome(outlet, revision, told)

    async def setpoint_failed(self, outlet: Outlet, detail: str) -> None:
        """Tell once that the box may or may not have the present setpoint."""
        lease = outlet.tenure.lease
        if lease is not None:
            failed = Applied(SetpointOutcome.FAILED, lease.limit_a, detail)
            await self._tell_outcome(outlet, lease.revision, failed)

    async def setpoint_refused(self, order: ApplySetpoint, detail: str) -> None:
        """Tell that a setpoint will not be written at all."""
        await self._context.bus.publish(
            SetpointApplied(
                evse_id=order.evse_id,
                station_id=self._station.id,
                revision=order.revision,
                limit_a=order.limit_a,
                outcome=SetpointOutcome.REFUSED,
                applied_at=self._context.clock.now(),
                detail=detail,
            )
        )

    async def again(self, outlets: tuple[Outlet, ...]) -> None:
        """Repeat everything that holds now; nothing does before the first contact."""
        if self._epoch == 0:
            return
        if self._connected is not None and self._booted is not None:
            await self._context.bus.publish(self._connected)
            await self._context.bus.publish(self._booted)
        for outlet in outlets:
            await self.observed(outlet, at_once=True)

    @property
    def _epoch(self) -> int:
        return self._context.epochs.get(self._station.id, 0)

    def _next_epoch(self) -> None:
        """Epochs grow over restarts too, because they start from the time."""
        milliseconds = int(self._context.clock.now().timestamp() * 1000)
        self._context.epochs[self._station.id] = max(self._epoch + 1, milliseconds)

    async def _tell_outcome(self, outlet: Outlet, revision: int, applied: Applied) -> None:
        key = (revision, applied.outcome, applied.limit_a)
        if self._reported.get(outlet.evse.id) == key:
            return
        self._reported[outlet.evse.id] = key
        await self._context.bus.publish(
            SetpointApplied(
                evse_id=outlet.evse.id,
                station_id=self._station.id,
                revision=revision,
                limit_a=applied.limit_a,
                outcome=applied.outcome,
                applied_at=self._context.clock.now(),
                detail=applied.detail,
            )
        )

    def _identity(self, outlet: Outlet) -> StationBooted:
        values, template = outlet.registers.values, outlet.registers.model.template
        serial, firmware = values.get("serial"), values.get("firmware")
        version = number(firmware)
        return StationBooted(
            station_id=self._station.id,
            epoch=self._epoch,
            booted_at=self._context.clock.now(),
            vendor=template.vendor,
            model=template.models[0],
            serial=serial if isinstance(serial, str) else "",
            firmware=firmware if isinstance(firmware, str) else _text(version),
        )


def _text(version: float | None) -> str:
    return "" if version is None else f"{version:g}"
