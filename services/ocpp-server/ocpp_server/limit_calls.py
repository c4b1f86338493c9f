"""The calls that bring limits into a station: base, lease, release, clearing (S8, S9, S11).

Which of them is due is decided in ``limits``.
"""

import logging
from typing import TYPE_CHECKING, Any

from ocpp_server.answers import StationReply
from ocpp_server.domain.clearing import Verdict, judge_clearing
from ocpp_server.domain.lease import Held, limit_of
from ocpp_server.domain.model import Purpose
from ocpp_server.domain.phases import failure, is_measure_valid, kept, told_after, until_switched
from ocpp_server.domain.profile_forms import Form
from ocpp_server.domain.profiles import (
    Limit,
    base_filter,
    base_profile,
    lasting_profile,
    lease_profile,
    override_profile,
)
from ocpp_server.domain.sendable import Box, Sendable, sendable
from ocpp_server.duty import Duty
from ocpp_server.facilities import Facilities
from ocpp_server.profile_sender import ProfileSender
from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.ocpp import CallResult
from shared.contracts.site import DeactivationPolicy
from shared.units import PhaseAmps

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

BASE_AGAIN_S = 60.0
"""A base profile that was not taken is tried again after that."""
COMPOSITE_S = 300


class LimitCalls:
    """Tells one station its limits, and notes in the duty of the connector what it confirmed."""

    def __init__(self, station: "Station", facilities: Facilities, sender: ProfileSender) -> None:
        self._station = station
        self._clock = facilities.clock
        self._announcer = facilities.announcer
        self._habits = facilities.habits
        self._sender = sender

    async def send_base(self, duty: Duty) -> None:
        """Send the limit that holds when nothing else does; it is tried again when refused."""
        limit, before = self.fallback(duty), duty.base_form
        reply, form = await self._sender.send(
            lambda form: base_profile(duty.outlet, limit, form=form, now=self._clock.now()),
            has_transaction=duty.has_transaction,
        )
        if reply.status != "Accepted" or form is None:
            duty.base = None
            duty.base_not_before = self._clock.monotonic() + BASE_AGAIN_S
            logger.warning("%s does not take its base profile: %s", duty.evse.id, reply.summary)
            return
        duty.base, duty.base_form = limit, form
        if not form.has_base or duty.lease_form not in {None, form}:
            duty.slot.send_again()  # the lease is replaced, or may lie below
        if before is not None and before.base_place not in {
            form.base_place,
            (form.purpose, form.lease_level),
        }:
            await self._station.call("ClearChargingProfile", base_filter(duty.outlet, before))

    async def apply(self, duty: Duty) -> None:
        """Send what is wanted, unless the station holds it already, and report on it."""
        setpoint = duty.slot.wanted
        if setpoint is None:
            return
        duty.slot.answered = True
        ordered = self._ordered(duty, setpoint)
        wanted = self._sendable(duty, ordered)
        if wanted.limit is None:
            refusal = wanted.refusal or ""
            self.report(setpoint, setpoint.limit_a, SetpointOutcome.REFUSED, refusal)
            return
        outcome, detail = SetpointOutcome.ACCEPTED, ""
        if duty.slot.must_send(wanted.limit, self._clock.monotonic()):
            reply = await self._send_lease(duty, wanted.limit, setpoint.lease_s)
            outcome, detail = _outcome(reply), _detail(reply)
        if wanted.refusal is not None:
            self.report(
                setpoint, wanted.limit.limit_a, SetpointOutcome.REFUSED, detail or wanted.refusal
            )
            return
        has_failed = self._phases_failure(duty, ordered)
        if outcome is SetpointOutcome.ACCEPTED and has_failed is not None:
            outcome, detail = SetpointOutcome.FAILED, has_failed
        self.report(setpoint, ordered.limit_a, outcome, detail)

    def has_more_to_give(self, duty: Duty) -> bool:
        """The box has left its three phases, so what was held back can be sent."""
        setpoint, told, held = duty.slot.wanted, duty.told, duty.slot.held
        if setpoint is None or told is None or told.before_a is None or held is None:
            return False
        wanted = self._sendable(duty, self._ordered(duty, setpoint)).limit
        return wanted is not None and wanted.limit_a > held.limit.limit_a

    async def end_lease(self, duty: Duty) -> None:
        """Load management is silent: the fallback holds from now on (S8)."""
        setpoint = duty.slot.wanted
        if setpoint is None:
            return
        duty.slot.forget()
        reply = await self._send_lease(duty, self.fallback(duty), setpoint.lease_s)
        refusal = self._sendable(duty, Limit(limit_a=duty.evse.fallback_a)).refusal
        if refusal is None:
            self.report(
                setpoint, duty.evse.fallback_a, SetpointOutcome.LEASE_EXPIRED, _detail(reply)
            )
            return
        limit_a = self.fallback(duty).limit_a
        self.report(setpoint, limit_a, SetpointOutcome.REFUSED, _detail(reply) or refusal)

    async def release(self, duty: Duty, policy: DeactivationPolicy, *, everything: bool) -> None:
        """S9: what becomes of a device that is let go. For ``everything`` see ``clear``."""
        duty.released = policy
        duty.steered = False
        duty.slot.forget()
        if policy is DeactivationPolicy.CANCEL_LIMITS:
            verdict = await self.clear(duty, everything=everything)
            logger.info("%s released: %s", duty.evse.id, verdict.detail)
            return
        limit_a = 0.0 if policy is DeactivationPolicy.SWITCH_OFF else duty.evse.min_a
        wanted = Limit(limit_a=limit_a)
        limit = self._sendable(duty, wanted).limit or wanted
        reply, form = await self._sender.send(
            lambda form: lasting_profile(duty.outlet, limit, form=form, now=self._clock.now()),
            has_transaction=duty.has_transaction,
        )
        if form is not None and not form.has_base:  # base and lease were this one profile
            duty.base = duty.base_form = None
        logger.info("%s released at %g A: %s", duty.evse.id, limit.limit_a, reply.summary)

    async def clear(self, duty: Duty, *, everything: bool) -> Verdict:
        """Delete every charging profile and verify it (S11); what is wanted is sent again after.

        ``everything``: in the whole station, not only what lies at this connector.
        """
        wanted: dict[str, Any] = {} if everything else {"connectorId": duty.evse.connector}
        cleared = await self._station.call("ClearChargingProfile", wanted)
        if duty.base_form is not None and duty.base_form.purpose is Purpose.STATION_MAX:
            await self._clear_connector_zero(everything=everything, status=cleared.status)
        question = {"connectorId": duty.evse.connector, "duration": COMPOSITE_S}
        composite = await self._station.call("GetCompositeSchedule", question)
        verdict = judge_clearing(
            cleared.payload, composite.payload, max_a=duty.evse.max_a, phases=duty.evse.phases
        )
        duty.base = duty.base_form = duty.lease_form = None
        duty.slot.send_again()
        return verdict

    def fallback(self, duty: Duty) -> Limit:
        """S8, as it is sent. A box that must never get 0 A gets its minimum."""
        wanted = self._sendable(duty, Limit(limit_a=duty.evse.fallback_a))
        return wanted.limit or Limit(limit_a=0.0)

    def report(
        self, setpoint: ApplySetpoint, limit_a: float, outcome: SetpointOutcome, detail: str = ""
    ) -> None:
        """Publish what became of an order."""
        self._announcer.tell(
            SetpointApplied(
                evse_id=setpoint.evse_id,
                station_id=setpoint.station_id,
                revision=setpoint.revision,
                limit_a=limit_a,
                outcome=outcome,
                applied_at=self._clock.now(),
                detail=detail,
            )
        )

    async def _send_lease(self, duty: Duty, limit: Limit, lease_s: float) -> StationReply:
        sent_at, before = self._clock.monotonic(), duty.slot.held
        duty.slot.held = None  # until the answer is here, the box may hold either
        reply, form = await self._sender.send(
            lambda form: self._lease_profile(duty, limit, form=form, lease_s=lease_s),
            has_transaction=duty.has_transaction,
        )
        if reply.status != "Accepted" or form is None:
            return reply
        if duty.overridden and duty.has_transaction and form.purpose is not Purpose.TX:
            override = override_profile(
                duty.outlet, limit, form=form, lease_s=lease_s, now=self._clock.now()
            )
            await self._station.call("SetChargingProfile", override)
        duty.lease_form = form
        held = None if before is None else before.limit
        duty.told = told_after(limit, duty.told, before=held, now=sent_at)
        duty.slot.held = Held(
            limit=limit, until=sent_at + lease_s, lease_s=lease_s, sent_at=sent_at
        )
        return reply

    def _lease_profile(
        self, duty: Duty, limit: Limit, *, form: Form, lease_s: float
    ) -> dict[str, Any]:
        return lease_profile(
            duty.outlet,
            limit,
            form=form,
            fallback=self.fallback(duty),
            lease_s=lease_s,
            now=self._clock.now(),
        )

    async def _clear_connector_zero(self, *, everything: bool, status: str | None) -> None:
        """ChargePointMaxProfile lies at connector 0, which a narrower deletion leaves alone."""
        if everything and status == "Accepted":
            return
        wanted = {"connectorId": 0, "chargingProfilePurpose": Purpose.STATION_MAX.value}
        await self._station.call("ClearChargingProfile", wanted)

    def _ordered(self, duty: Duty, setpoint: ApplySetpoint) -> Limit:
        """What is wanted now: while a box leaves its three phases, no more than there was."""
        wanted = limit_of(setpoint)
        if not (duty.evse.switches_phases and self._sender.can_switch_phases):
            return wanted
        held = duty.slot.held
        return until_switched(
            kept(wanted, duty.told),
            duty.told,
            before=None if held is None else held.limit,
            measured=self._measured(duty),
            now=self._clock.monotonic(),
        )

    def _phases_failure(self, duty: Duty, ordered: Limit) -> str | None:
        measured, now = self._measured(duty), self._clock.monotonic()
        return failure(ordered, duty.told, measured=measured, now=now)

    def _measured(self, duty: Duty) -> PhaseAmps | None:
        return self._station.connector(duty.evse.connector).reading.current_a

    def _sendable(self, duty: Duty, wanted: Limit) -> Sendable:
        is_valid = is_measure_valid(wanted, duty.told, self._clock.monotonic())
        return sendable(
            wanted,
            evse=duty.evse,
            box=Box(
                model=self._station.model,
                form=self._sender.form(has_transaction=duty.has_transaction),
                measured=self._measured(duty) if is_valid else None,
                can_switch_phases=self._sender.can_switch_phases,
            ),
        )


def _outcome(reply: StationReply) -> SetpointOutcome:
    if reply.status == "Accepted":
        return SetpointOutcome.ACCEPTED
    if reply.outcome in {CallResult.ANSWERED, CallResult.ERROR}:
        return SetpointOutcome.REFUSED
    return SetpointOutcome.FAILED


def _detail(reply: StationReply) -> str:
    return "" if reply.status == "Accepted" else reply.summary
