"""Brings what is ordered into the registers of one outlet, and tells what became of it."""

import logging
from dataclasses import dataclass
from datetime import datetime

from modbus_bridge.domain.lease import Cause, Desired, desired, failsafe_timeout_s, released
from modbus_bridge.domain.phases import Ruling, Verdict
from modbus_bridge.domain.reading import number, permitted_a
from modbus_bridge.domain.setpoint import PointWrite, SetpointPlan, plan_limit, write_of
from modbus_bridge.domain.template import Control, Keepalive
from modbus_bridge.outlet import Outlet
from modbus_bridge.phase_changer import PhaseChanger
from modbus_bridge.registers import Registers
from shared.clock import Clock
from shared.contracts.charging import SetpointOutcome
from shared.contracts.site import Mode, SiteConfig
from shared.errors import Refused

logger = logging.getLogger(__name__)

WRITE_PAUSE_S = 1.0
"""A raise is not written sooner than this after the last write; a lower limit always is."""
INSIST_PAUSE_S = 5.0
"""A device that keeps a higher value than ordered is told again after this time."""


@dataclass(frozen=True)
class Settled:
    """What a device made of the last write to a point."""

    ordered: float
    held: float | None
    insist_at: float


@dataclass(frozen=True)
class Applied:
    """What a limit became at the box."""

    outcome: SetpointOutcome
    limit_a: float
    detail: str = ""


class Writer:
    """The only one that writes to an outlet.

    Registers are compared with what is ordered and written where they differ, so that a box that
    lost its limit in a restart gets it again. S1: outside load management nothing is written.
    """

    def __init__(self, outlet: Outlet, clock: Clock) -> None:
        self._outlet = outlet
        self._clock = clock
        self._settled: dict[str, Settled] = {}
        self._wrote_at = float("-inf")
        self._kept_alive_at = float("-inf")
        self._failsafe: tuple[float, float] | None = None
        self._phases = PhaseChanger(outlet, clock)

    def forget(self) -> None:
        """After a disconnect the box may hold anything."""
        self._settled.clear()
        self._kept_alive_at = float("-inf")
        self._failsafe = None
        self._phases.forget()

    async def reconcile(self, site: SiteConfig, now: datetime) -> tuple[Desired, Applied] | None:
        """Make the box hold what is ordered now; return what became of it.

        ``None``: nothing is ordered, a raise has to wait a moment, or phases are being changed.
        Raises ``DeviceUnreachable``.
        """
        if site.mode is not Mode.LOAD_MANAGEMENT:
            return None
        await self._set_failsafe(site)
        await self._keep_alive()
        wanted = desired(self._outlet.evse, site, self._outlet.tenure, now)
        if wanted is None:
            return None
        applied = await self._bring(wanted)
        return None if applied is None else (wanted, applied)

    async def let_go(self, site: SiteConfig) -> None:
        """S9: leave the box as the policy says, once. Raises ``DeviceUnreachable``."""
        limit_a = released(self._outlet.evse, site.deactivation).limit_a
        await self._write_failsafe(failsafe_timeout_s(site.lease_s), limit_a)
        await self._apply(limit_a, at_once=True)
        logger.info("evse %s let go: %s", self._outlet.evse.id, site.deactivation)

    async def _bring(self, wanted: Desired) -> Applied | None:
        """Limit and phases; until both are as ordered no more may flow than before, or nothing."""
        order = self._phases.asked(wanted.phases)
        verdict = self._phases.rule(order.phases)
        if verdict.ruling is Ruling.FREE and order.refusal is None:
            return await self._apply(wanted.limit_a)
        held = await self._apply(self._phases.meanwhile_a(wanted.limit_a, verdict))
        if held is None or held.outcome is not SetpointOutcome.ACCEPTED:
            return held
        if verdict.write is not None:
            verdict = await self._switch_phases(verdict, verdict.write)
        match verdict.ruling:
            case Ruling.FREE:
                return Applied(SetpointOutcome.REFUSED, held.limit_a, order.refusal or "")
            case Ruling.FAILED:
                return Applied(SetpointOutcome.FAILED, held.limit_a, verdict.detail)
            case Ruling.UNDER_WAY:
                return None

    async def _switch_phases(self, verdict: Verdict, phases: int) -> Verdict:
        order = self._phases.begin(verdict, phases)
        logger.info("evse %s: changing to %s phase(s)", self._outlet.evse.id, phases)
        try:
            held = await self._write(order)
        except Refused as error:
            return self._phases.fail(phases, f"it does not take {phases} phase(s): {error}")
        if not self._phases.keeps_other(order, held):
            return verdict
        detail = f"{order.point} stays {held:g}, {order.value:g} was ordered"
        return self._phases.fail(phases, detail)

    async def _apply(self, limit_a: float, *, at_once: bool = False) -> Applied | None:
        plan = plan_limit(
            self._control, self._registers.model.points, limit_a, min_a=self._outlet.evse.min_a
        )
        missing = [order for order in plan.writes if not self._is_done(order)]
        if missing and not at_once and self._must_wait(missing[0]):
            return None
        try:
            for order in missing:
                await self._write(order)
        except Refused as error:
            return self._refused(limit_a, str(error))
        return self._result(plan)

    async def _write(self, order: PointWrite) -> float | None:
        self._wrote_at = self._clock.monotonic()
        await self._registers.write(order)
        held = number(await self._registers.read_back(order.point))
        self._settled[order.point] = Settled(order.value, held, self._wrote_at + INSIST_PAUSE_S)
        logger.debug("evse %s: %s = %s", self._outlet.evse.id, order.point, order.value)
        return held

    def _is_done(self, order: PointWrite) -> bool:
        """The box holds the value, or what it made of it: an 11 kW box keeps 16 A of 32."""
        values = self._registers.values
        if order.is_in(values):
            return True
        settled = self._settled.get(order.point)
        if settled is None or settled.ordered != order.value:
            return False
        if settled.held != number(values.get(order.point)):
            return False
        is_lower = settled.held is None or settled.held <= order.value
        return is_lower or self._clock.monotonic() < settled.insist_at

    def _must_wait(self, order: PointWrite) -> bool:
        held = number(self._registers.values.get(order.point))
        is_raise = held is not None and order.value > held
        return is_raise and self._clock.monotonic() - self._wrote_at < WRITE_PAUSE_S

    def _result(self, plan: SetpointPlan) -> Applied:
        values = self._registers.values
        for order in plan.writes:
            held = number(values.get(order.point))
            if held is not None and held > order.value + 1e-6:
                detail = f"{order.point} stays {held:g}, {order.value:g} was ordered"
                return self._refused(plan.limit_a, detail)
        limit_a = number(values.get(self._control.limit))
        if plan.limit_a > 0 and limit_a is not None:
            return Applied(SetpointOutcome.ACCEPTED, min(plan.limit_a, limit_a))
        return Applied(SetpointOutcome.ACCEPTED, plan.limit_a)

    def _refused(self, limit_a: float, detail: str) -> Applied:
        """Return what the box kept; what is unknown is told as it was ordered."""
        permitted = permitted_a(self._registers.model.template, self._registers.values)
        kept_a = limit_a if permitted is None else permitted
        return Applied(SetpointOutcome.REFUSED, kept_a, detail)

    async def _set_failsafe(self, site: SiteConfig) -> None:
        """Make the box fall back by itself when it hears nothing (S8)."""
        evse = self._outlet.evse
        current_a = evse.fallback_a if evse.enabled else released(evse, site.deactivation).limit_a
        wanted = (failsafe_timeout_s(site.lease_s), current_a)
        if wanted != self._failsafe:
            await self._write_failsafe(*wanted)
            self._failsafe = wanted

    async def _write_failsafe(self, timeout_s: float, current_a: float) -> None:
        failsafe = self._registers.model.template.failsafe
        for name, value in ((failsafe.timeout, timeout_s), (failsafe.current, current_a)):
            if name is None:
                continue
            order = write_of(name, self._registers.model.points, value)
            if order.is_in(self._registers.values):
                continue  # these registers wear out: never written for nothing
            try:
                await self._registers.write(order)
                held = await self._registers.read_back(name)
            except Refused as error:
                held = str(error)
            if held != order.value:
                text = "evse %s: fail-safe %s is %s instead of %s"
                logger.warning(text, self._outlet.evse.id, name, held, order.value)

    async def _keep_alive(self) -> None:
        keepalive = self._registers.model.template.keepalive
        if keepalive is None or keepalive.interval_s is None:
            return
        if self._clock.monotonic() - self._kept_alive_at < keepalive.interval_s:
            return
        self._kept_alive_at = self._clock.monotonic()
        order = self._sign_of_life(keepalive)
        if order is None:
            return
        try:
            await self._registers.write(order)
        except Refused as error:
            self._kept_alive_at = float("inf")  # not again before the next connect
            logger.warning("evse %s refuses its keep-alive: %s", self._outlet.evse.id, error)

    def _sign_of_life(self, keepalive: Keepalive) -> PointWrite | None:
        points = self._registers.model.points
        if keepalive.write is not None and keepalive.value is not None:
            return write_of(keepalive.write, points, keepalive.value)
        limit = self._control.limit
        settled = self._settled.get(limit)
        return None if settled is None else write_of(limit, points, settled.ordered)

    @property
    def _registers(self) -> Registers:
        return self._outlet.registers

    @property
    def _control(self) -> Control:
        control = self._registers.model.template.control
        assert control is not None  # noqa: S101 - a charger template has one
        return control


def outcome_for(lease_limit_a: float, wanted: Desired, applied: Applied) -> Applied:
    """Return what to tell about a setpoint when something else than the setpoint decided."""
    if wanted.cause is Cause.LEASE or applied.outcome is not SetpointOutcome.ACCEPTED:
        return applied
    fits = applied.limit_a <= lease_limit_a
    outcome = SetpointOutcome.ACCEPTED if fits else SetpointOutcome.REFUSED
    return Applied(outcome, applied.limit_a, str(wanted.cause))
