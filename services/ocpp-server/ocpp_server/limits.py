"""Getting limits into one station and keeping them there: base, lease, release (S8, S9, S11).

Per connector there is one slot for the setpoint, not a queue: the latest revision wins. Nothing is
sent in monitor mode (S1) except the release of a device that was steered before.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocpp_server.answers import StationReply
from ocpp_server.domain.clearing import Verdict, judge_clearing
from ocpp_server.domain.lease import Held, Slot, limit_of
from ocpp_server.domain.profiles import (
    RATE_UNIT_KEY,
    Limit,
    RateUnit,
    base_profile,
    lasting_profile,
    lease_profile,
    rate_unit,
)
from ocpp_server.facilities import Facilities
from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.ocpp import CallResult
from shared.contracts.site import DeactivationPolicy, Evse

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

BASE_AGAIN_S = 60.0
"""A base profile that was not taken is tried again after that."""
UNIT_TIMEOUT_S = 10.0
COMPOSITE_S = 300

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Duty:
    """What one connector is to hold, and what it does."""

    evse: Evse
    """As last configured: a device that was removed from the site is let go of, too."""
    slot: Slot = field(default_factory=Slot)
    base: Limit | None = None
    """The base profile that the station has confirmed."""
    base_not_before: float = 0.0
    steered: bool = False
    """A limit was sent, or may be there from before, so letting go needs a release."""
    released: DeactivationPolicy | None = None
    """The policy by which it was let go; None while it is steered."""


class Limits:
    """The limits of one connection."""

    def __init__(
        self, station: "Station", facilities: Facilities, *, wake: Callable[[], None]
    ) -> None:
        self._station = station
        self._clock = facilities.clock
        self._announcer = facilities.announcer
        self._wake = wake
        self._duties: dict[int, Duty] = {}
        self._unit: RateUnit | None = None

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
        self._unit = None
        for duty in self._duties.values():
            duty.base = None
            duty.base_not_before = 0.0
            duty.released = None
            duty.slot.held = None
            duty.slot.answered = duty.slot.wanted is None

    def site_changed(self) -> None:
        """Let go of the setpoints of connectors that are steered no longer."""
        for connector, duty in self._duties.items():
            if not self._is_steered(connector):
                duty.slot.forget()

    def is_due(self, now: float) -> bool:
        """A lease has run out, or a base profile is to be tried again."""
        return any(
            duty.slot.has_expired(now) or (duty.base is None and 0 < duty.base_not_before <= now)
            for duty in self._duties.values()
        )

    def next_step(self) -> Step | None:
        """Return the most urgent thing to send, if any."""
        for evse in self._station.evses.values():
            self._duty(evse)
        for duty in self._duties.values():
            step = self._next_of(duty.evse, duty)
            if step is not None:
                return step
        return None

    async def clear(self, evse: Evse) -> Verdict:
        """Delete every charging profile and verify it (S11); steered connectors get theirs again.

        Other connectors keep their profiles while they are steered.
        """
        others = set(self._station.evses) - {evse.connector}
        everything = not any(self._is_steered(other) for other in others)
        wanted: dict[str, Any] = {} if everything else {"connectorId": evse.connector}
        cleared = await self._station.call("ClearChargingProfile", wanted)
        question = {"connectorId": evse.connector, "duration": COMPOSITE_S}
        composite = await self._station.call("GetCompositeSchedule", question)
        verdict = judge_clearing(
            cleared.payload, composite.payload, max_a=evse.max_a, phases=evse.phases
        )
        duty = self._duty(evse)
        duty.base = duty.slot.held = None
        duty.slot.answered = duty.slot.wanted is None
        self._wake()
        return verdict

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
        if self._unit is None:
            return self._ask_unit
        duty.released = None
        duty.steered = True
        now = self._clock.monotonic()
        if duty.base != Limit(limit_a=evse.fallback_a) and now >= duty.base_not_before:
            return lambda: self._send_base(evse, duty)
        if duty.slot.has_expired(now):
            return lambda: self._end_lease(evse, duty)
        if not duty.slot.answered:
            return lambda: self._apply(evse, duty)
        return None

    def _next_release(self, evse: Evse, duty: Duty) -> Step | None:
        """In monitor mode only what this connection has steered is let go."""
        policy = self._station.view.site.deactivation
        is_configured = evse.connector in self._station.evses
        needs_release = duty.steered or (self._station.view.steers and is_configured)
        if not needs_release or duty.released is policy:
            return None
        if self._unit is None:
            return self._ask_unit
        return lambda: self._release(evse, duty, policy)

    async def _ask_unit(self) -> None:
        """Learn whether the station takes ampere or watt; without an answer it gets ampere."""
        reply = await self._station.call(
            "GetConfiguration", {"key": [RATE_UNIT_KEY]}, timeout_s=UNIT_TIMEOUT_S
        )
        self._unit = rate_unit(_value_of(reply, RATE_UNIT_KEY))

    async def _send_base(self, evse: Evse, duty: Duty) -> None:
        limit = Limit(limit_a=evse.fallback_a)
        reply = await self._set(
            base_profile(evse.connector, limit, unit=self._rate_unit, wired=evse.phases)
        )
        if reply.status == "Accepted":
            duty.base = limit
            return
        duty.base = None
        duty.base_not_before = self._clock.monotonic() + BASE_AGAIN_S
        logger.warning("%s does not take its base profile: %s", evse.id, reply.summary)

    async def _apply(self, evse: Evse, duty: Duty) -> None:
        slot = duty.slot
        setpoint = slot.wanted
        if setpoint is None:
            return
        slot.answered = True
        if not slot.must_send(self._clock.monotonic()):
            self._report(setpoint, setpoint.limit_a, SetpointOutcome.ACCEPTED)
            return
        reply = await self._send_lease(evse, duty, limit_of(setpoint), setpoint.lease_s)
        self._report(setpoint, setpoint.limit_a, _outcome(reply), _detail(reply))

    async def _end_lease(self, evse: Evse, duty: Duty) -> None:
        """Load management is silent: the fallback holds from now on (S8)."""
        setpoint = duty.slot.wanted
        if setpoint is None:
            return
        duty.slot.forget()
        fallback = Limit(limit_a=evse.fallback_a)
        reply = await self._send_lease(evse, duty, fallback, setpoint.lease_s)
        self._report(setpoint, evse.fallback_a, SetpointOutcome.LEASE_EXPIRED, _detail(reply))

    async def _send_lease(
        self, evse: Evse, duty: Duty, limit: Limit, lease_s: float
    ) -> StationReply:
        sent_at = self._clock.monotonic()
        profile = lease_profile(
            evse.connector,
            limit,
            unit=self._rate_unit,
            wired=evse.phases,
            lease_s=lease_s,
            now=self._clock.now(),
        )
        duty.slot.held = None  # until the answer is here, the box may hold either
        reply = await self._set(profile)
        if reply.status == "Accepted":
            duty.slot.held = Held(limit=limit, until=sent_at + lease_s, lease_s=lease_s)
        return reply

    async def _release(self, evse: Evse, duty: Duty, policy: DeactivationPolicy) -> None:
        """S9: what becomes of a device that is let go."""
        duty.released = policy
        duty.steered = False
        duty.slot.forget()
        if policy is DeactivationPolicy.CANCEL_LIMITS:
            verdict = await self.clear(evse)
            logger.info("%s released: %s", evse.id, verdict.detail)
            return
        limit_a = 0.0 if policy is DeactivationPolicy.SWITCH_OFF else evse.min_a
        reply = await self._set(
            lasting_profile(
                evse.connector, Limit(limit_a=limit_a), unit=self._rate_unit, wired=evse.phases
            )
        )
        logger.info("%s released at %g A: %s", evse.id, limit_a, reply.summary)

    async def _set(self, profile: dict[str, Any]) -> StationReply:
        return await self._station.call("SetChargingProfile", profile)

    @property
    def _rate_unit(self) -> RateUnit:
        return self._unit or RateUnit.AMPS

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


def _value_of(reply: StationReply, key: str) -> str | None:
    """The value of a key in a GetConfiguration.conf; stations vary its case (5.4, 27)."""
    entries = (reply.payload or {}).get("configurationKey")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and str(entry.get("key")).lower() == key.lower():
            value = entry.get("value")
            return value if isinstance(value, str) else None
    return None
