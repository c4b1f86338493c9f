"""What limits a station is to hold, and which of them is to be told next (S8, S9, S11).

Per connector there is one slot for the setpoint, not a queue: the latest revision wins. Nothing is
sent in monitor mode (S1) except the release of a device that was steered before.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ocpp_server.domain.clearing import Verdict
from ocpp_server.domain.model import Purpose
from ocpp_server.domain.sendable import heeds
from ocpp_server.duty import Duty
from ocpp_server.facilities import Facilities
from ocpp_server.limit_calls import LimitCalls
from ocpp_server.profile_sender import ProfileSender
from shared.contracts.charging import ApplySetpoint, SetpointOutcome
from shared.contracts.site import Evse

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]


class Limits:
    """The limits of one connection."""

    def __init__(
        self, station: "Station", facilities: Facilities, *, wake: Callable[[], None]
    ) -> None:
        self._station = station
        self._clock = facilities.clock
        self._wake = wake
        self._duties: dict[int, Duty] = {}
        self._sender = ProfileSender(station, facilities)
        self._calls = LimitCalls(station, facilities, self._sender)

    def put(self, setpoint: ApplySetpoint) -> None:
        """Take an order for a connector; what becomes of it is published."""
        evse = self._station.evses.get(setpoint.connector)
        refusal = self._refusal(evse)
        if refusal is not None:
            self._calls.report(setpoint, setpoint.limit_a, SetpointOutcome.REFUSED, refusal)
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
            if duty.slot.answered and self._calls.has_more_to_give(duty):
                duty.slot.answered = False
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
            step = self._next_of(duty)
            if step is not None:
                return step
        return None

    async def clear(self, evse: Evse) -> Verdict:
        """Delete every charging profile and verify it (S11); steered connectors get theirs again.

        Other connectors keep their profiles while they are steered.
        """
        everything = self._is_only_steered(evse.connector)
        verdict = await self._calls.clear(self._duty(evse), everything=everything)
        self._wake()
        return verdict

    def _duty(self, evse: Evse) -> Duty:
        duty = self._duties.get(evse.connector)
        if duty is None:
            duty = self._duties[evse.connector] = Duty(evse)
        duty.evse = evse
        return duty

    def _is_steered(self, connector: int) -> bool:
        evse = self._station.evses.get(connector)
        return evse is not None and evse.enabled and self._station.view.steers

    def _is_only_steered(self, connector: int) -> bool:
        """No other connector is steered."""
        return not any(self._is_steered(n) for n in self._station.evses if n != connector)

    def _refusal(self, evse: Evse | None) -> str | None:
        if evse is None:
            return "the site has no EVSE at this connector"
        if not self._station.view.steers:
            return f"the site is in {self._station.view.site.mode.value} mode"
        return None if evse.enabled else "the EVSE is disabled"

    def _next_of(self, duty: Duty) -> Step | None:
        if not self._is_steered(duty.evse.connector):
            return self._next_release(duty)
        if not self._sender.is_ready:
            return self._sender.prepare
        duty.released = None
        duty.steered = True
        now = self._clock.monotonic()
        form = self._sender.form(has_transaction=duty.has_transaction)
        if duty.base_is_due(self._calls.fallback(duty), form, now):
            return lambda: self._calls.send_base(duty)
        if duty.slot.has_expired(now):
            return lambda: self._calls.end_lease(duty)
        if not duty.slot.answered:
            return lambda: self._calls.apply(duty)
        return None

    def _next_release(self, duty: Duty) -> Step | None:
        """In monitor mode only what this connection has steered is let go."""
        policy = self._station.view.site.deactivation
        connector = duty.evse.connector
        is_configured = connector in self._station.evses
        needs_release = duty.steered or (self._station.view.steers and is_configured)
        if not needs_release or duty.released is policy:
            return None
        if not self._sender.is_ready:
            return self._sender.prepare
        everything = self._is_only_steered(connector)
        return lambda: self._calls.release(duty, policy, everything=everything)

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
