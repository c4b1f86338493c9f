"""Getting limits into one station and keeping them there: base, lease, release (S8, S9, S11).

Per connector there is one slot for the setpoint, not a queue: the latest revision wins. Nothing is
sent in monitor mode (S1) except the release of a device that was steered before.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ocpp_server.answers import StationReply
from ocpp_server.domain.clearing import Verdict, judge_clearing
from ocpp_server.domain.lease import Held
from ocpp_server.domain.model import Purpose
from ocpp_server.domain.profiles import (
    Limit,
    base_filter,
    base_profile,
    lasting_profile,
    lease_profile,
    override_profile,
)
from ocpp_server.domain.sendable import Sendable, heeds, sendable
from ocpp_server.duty import Duty
from ocpp_server.facilities import Facilities
from ocpp_server.profile_sender import ProfileSender
from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.ocpp import CallResult
from shared.contracts.site import DeactivationPolicy, Evse

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

BASE_AGAIN_S = 60.0
"""A base profile that was not taken is tried again after that."""
COMPOSITE_S = 300

Step = Callable[[], Awaitable[None]]


class Limits:
    """The limits of one connection."""

    def __init__(
        self, station: "Station", facilities: Facilities, *, wake: Callable[[], None]
    ) -> None:
        self._station = station
        self._clock = facilities.clock
        self._announcer = facilities.announcer
        self._habits = facilities.habits
        self._wake = wake
        self._duties: dict[int, Duty] = {}
        self._sender = ProfileSender(station, facilities)

    def put(self, setpoint: ApplySetpoint) -> None:
        """Take an order for a connector; what becomes of it is published."""
        evse = self._station.evses.get(setpoint.connector)
        refusal = self._refusal(evse)
        if refusal is not None:
            self._report(setpoint, setpoint.limit_a, SetpointOutcome.REFUSED, refusal)
            return
        if evse is not None and self._duty(evse).slot.put(setpoint, self._clock.monotonic()):
            self._wake()

    def send_again(self) -> None:
        """The station may have lost everything: nothing is known of what it holds."""
        self._sender.start_again()
        for duty in self._duties.values():
            duty.send_again()

    def site_changed(self) -> None:
        """Let go of the setpoints of connectors that are steered no longer."""
        for connector, duty in self._duties.items():
            if not self._is_steered(connector):
                duty.slot.forget()

    def transaction_started(self, evse: Evse, transaction_id: int, since: datetime) -> None:
        """A transaction runs at a connector; the station may not know its id yet."""
        self._duty(evse).coming = transaction_id, since
        self._wake()

    def transaction_stopped(self, evse: Evse) -> None:
        """No transaction runs at a connector, and the limits that were its own are gone."""
        duty = self._duty(evse)
        duty.coming = duty.transaction_id = duty.transaction_since = None
        self._adapt_to_transaction(duty)

    def _look_for_transaction(self, duty: Duty) -> None:
        """Take up a transaction once its start has been answered."""
        if duty.coming is None or self._station.conversation.has_unanswered:
            return
        duty.transaction_id, duty.transaction_since = duty.coming
        duty.coming = None
        self._sender.transaction_began()
        self._adapt_to_transaction(duty)

    def _adapt_to_transaction(self, duty: Duty) -> None:
        """Limits that count from its start, or are for it alone, have to be told again."""
        duty.overridden = False
        form = self._sender.form(has_transaction=duty.has_transaction)
        if self._sender.is_ready and (form is None or form.relative or form.purpose is Purpose.TX):
            duty.base = None
            duty.base_not_before = 0.0
            duty.slot.send_again()
            self._wake()

    def is_due(self, now: float) -> bool:
        """A lease has run out, a base is to be tried again, or a box draws more than it may."""
        for duty in self._duties.values():
            if duty.slot.has_expired(now) or duty.coming is not None:
                return True
            if duty.base is None and 0 < duty.base_not_before <= now:
                return True
            if self._is_ignored(duty):
                duty.overridden = True
                duty.slot.send_again()
                logger.info("%s ignores its limit, its transaction gets one", duty.evse.id)
                return True
        return False

    def next_step(self) -> Step | None:
        """Return the most urgent thing to send, if any."""
        for evse in self._station.evses.values():
            self._duty(evse)
        for duty in self._duties.values():
            self._look_for_transaction(duty)
            step = self._next_of(duty.evse, duty)
            if step is not None:
                return step
        return None

    async def clear(self, evse: Evse) -> Verdict:
        """Delete every charging profile and verify it (S11); steered connectors get theirs again.

        Other connectors keep their profiles while they are steered.
        """
        duty = self._duty(evse)
        others = set(self._station.evses) - {evse.connector}
        everything = not any(self._is_steered(other) for other in others)
        wanted: dict[str, Any] = {} if everything else {"connectorId": evse.connector}
        cleared = await self._station.call("ClearChargingProfile", wanted)
        if duty.base_form is not None and duty.base_form.purpose is Purpose.STATION_MAX:
            await self._clear_connector_zero(everything=everything, status=cleared.status)
        question = {"connectorId": evse.connector, "duration": COMPOSITE_S}
        composite = await self._station.call("GetCompositeSchedule", question)
        verdict = judge_clearing(
            cleared.payload, composite.payload, max_a=evse.max_a, phases=evse.phases
        )
        duty.base = duty.base_form = duty.lease_form = None
        duty.slot.send_again()
        self._wake()
        return verdict

    async def _clear_connector_zero(self, *, everything: bool, status: str | None) -> None:
        """ChargePointMaxProfile lies at connector 0, which a narrower deletion leaves alone."""
        if everything and status == "Accepted":
            return
        wanted = {"connectorId": 0, "chargingProfilePurpose": Purpose.STATION_MAX.value}
        await self._station.call("ClearChargingProfile", wanted)

    def _duty(self, evse: Evse) -> Duty:
        duty = self._duties.setdefault(evse.connector, Duty(evse))
        duty.evse = evse
        return duty

    def _is_steered(self, connector: int) -> bool:
        evse = self._station.evses.get(connector)
        return evse is not None and evse.enabled and self._station.view.steers

    def _refusal(self, evse: Evse | None) -> str | None:
        if evse is None:
            return "the site has no EVSE at this connector"
        if not self._station.view.steers:
            return f"the site is in {self._station.view.site.mode.value} mode"
        return None if evse.enabled else "the EVSE is disabled"

    def _next_of(self, evse: Evse, duty: Duty) -> Step | None:
        if not self._is_steered(evse.connector):
            return self._next_release(evse, duty)
        if not self._sender.is_ready:
            return self._sender.prepare
        duty.released = None
        duty.steered = True
        now = self._clock.monotonic()
        form = self._sender.form(has_transaction=duty.has_transaction)
        if duty.base_is_due(self._fallback(duty), form, now):
            return lambda: self._send_base(duty)
        if duty.slot.has_expired(now):
            return lambda: self._end_lease(duty)
        if not duty.slot.answered:
            return lambda: self._apply(duty)
        return None

    def _next_release(self, evse: Evse, duty: Duty) -> Step | None:
        """In monitor mode only what this connection has steered is let go."""
        policy = self._station.view.site.deactivation
        is_configured = evse.connector in self._station.evses
        needs_release = duty.steered or (self._station.view.steers and is_configured)
        if not needs_release or duty.released is policy:
            return None
        if not self._sender.is_ready:
            return self._sender.prepare
        return lambda: self._release(duty, policy)

    async def _send_base(self, duty: Duty) -> None:
        limit, before = self._fallback(duty), duty.base_form
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

    async def _apply(self, duty: Duty) -> None:
        setpoint = duty.slot.wanted
        if setpoint is None:
            return
        duty.slot.answered = True
        wanted = self._sendable(duty, setpoint.limit_a, phases=setpoint.phases)
        if wanted.refusal is not None and wanted.limit is None:
            self._report(setpoint, setpoint.limit_a, SetpointOutcome.REFUSED, wanted.refusal)
            return
        if wanted.limit is None:
            return
        outcome, detail = SetpointOutcome.ACCEPTED, ""
        if duty.slot.must_send(wanted.limit, self._clock.monotonic()):
            reply = await self._send_lease(duty, wanted.limit, setpoint.lease_s)
            outcome, detail = _outcome(reply), _detail(reply)
        if wanted.refusal is not None:
            self._report(
                setpoint, wanted.limit.limit_a, SetpointOutcome.REFUSED, detail or wanted.refusal
            )
            return
        self._report(setpoint, setpoint.limit_a, outcome, detail)

    async def _end_lease(self, duty: Duty) -> None:
        """Load management is silent: the fallback holds from now on (S8)."""
        setpoint = duty.slot.wanted
        if setpoint is None:
            return
        duty.slot.forget()
        reply = await self._send_lease(duty, self._fallback(duty), setpoint.lease_s)
        refusal = self._sendable(duty, duty.evse.fallback_a).refusal
        if refusal is None:
            self._report(
                setpoint, duty.evse.fallback_a, SetpointOutcome.LEASE_EXPIRED, _detail(reply)
            )
            return
        limit_a = self._fallback(duty).limit_a
        self._report(setpoint, limit_a, SetpointOutcome.REFUSED, _detail(reply) or refusal)

    async def _send_lease(self, duty: Duty, limit: Limit, lease_s: float) -> StationReply:
        sent_at = self._clock.monotonic()
        duty.slot.held = None  # until the answer is here, the box may hold either
        reply, form = await self._sender.send(
            lambda form: lease_profile(
                duty.outlet,
                limit,
                form=form,
                fallback=self._fallback(duty),
                lease_s=lease_s,
                now=self._clock.now(),
            ),
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
        duty.slot.held = Held(
            limit=limit, until=sent_at + lease_s, lease_s=lease_s, sent_at=sent_at
        )
        return reply

    async def _release(self, duty: Duty, policy: DeactivationPolicy) -> None:
        """S9: what becomes of a device that is let go."""
        duty.released = policy
        duty.steered = False
        duty.slot.forget()
        if policy is DeactivationPolicy.CANCEL_LIMITS:
            verdict = await self.clear(duty.evse)
            logger.info("%s released: %s", duty.evse.id, verdict.detail)
            return
        limit_a = 0.0 if policy is DeactivationPolicy.SWITCH_OFF else duty.evse.min_a
        limit = self._sendable(duty, limit_a).limit or Limit(limit_a=limit_a)
        reply, form = await self._sender.send(
            lambda form: lasting_profile(duty.outlet, limit, form=form, now=self._clock.now()),
            has_transaction=duty.has_transaction,
        )
        if form is not None and not form.has_base:  # base and lease were this one profile
            duty.base = duty.base_form = None
        logger.info("%s released at %g A: %s", duty.evse.id, limit.limit_a, reply.summary)

    def _fallback(self, duty: Duty) -> Limit:
        """S8, as it is sent. A box that must never get 0 A gets its minimum."""
        wanted = self._sendable(duty, duty.evse.fallback_a)
        return wanted.limit or Limit(limit_a=0.0)

    def _sendable(self, duty: Duty, limit_a: float, *, phases: int | None = None) -> Sendable:
        model = self._habits.model_of(self._station.id, self._station.view).model
        form = self._sender.form(has_transaction=duty.has_transaction)
        measured = self._station.connector(duty.evse.connector).reading.current_a
        return sendable(
            Limit(limit_a=limit_a, phases=phases),
            evse=duty.evse,
            model=model,
            form=form,
            measured=measured,
        )

    def _is_ignored(self, duty: Duty) -> bool:
        """The box draws more than the lease that it has confirmed, some time after it did."""
        held = duty.slot.held
        if held is None or duty.overridden or not duty.has_transaction:
            return False
        connector = self._station.connector(duty.evse.connector)
        measured_at = connector.measured_at
        if measured_at is None:
            return False
        age_s = self._clock.monotonic() - held.sent_at
        measured_age_s = (self._clock.now() - measured_at).total_seconds()
        return not heeds(connector.reading, held.limit, since_s=age_s - measured_age_s)

    def _report(
        self, setpoint: ApplySetpoint, limit_a: float, outcome: SetpointOutcome, detail: str = ""
    ) -> None:
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


def _outcome(reply: StationReply) -> SetpointOutcome:
    if reply.status == "Accepted":
        return SetpointOutcome.ACCEPTED
    if reply.outcome in {CallResult.ANSWERED, CallResult.ERROR}:
        return SetpointOutcome.REFUSED
    return SetpointOutcome.FAILED


def _detail(reply: StationReply) -> str:
    return "" if reply.status == "Accepted" else reply.summary
