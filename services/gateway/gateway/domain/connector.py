"""One outlet of a virtual charge point: from plug and card to transaction and status. Pure.

Every method returns what has to be done. Times come in as ``now``.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.domain import payloads
from gateway.domain.configuration import Configuration
from gateway.domain.effects import (
    AskAuthorization,
    Begin,
    Effect,
    End,
    OpenTransaction,
    Sample,
    Status,
    Tell,
    Vacated,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.units import MINIMUM_CHARGING_A

METER_WITHIN = timedelta(seconds=65)
"""A register that shows 0 after a start is doubted for 60 s by whoever reads it."""


@dataclass(frozen=True)
class Authorisation:
    """A token that may charge here, waiting for the vehicle."""

    token: str
    since: datetime


class Connector:
    """The state of one outlet.

    Silence: while the box does not answer, a transaction goes on with its last word, and the
    backend sees ``Unavailable``.
    """

    def __init__(
        self, number: int, evse_id: str, *, fixed_token: str | None, configuration: Configuration
    ) -> None:
        self.number = number
        self.evse_id = evse_id
        self.fixed_token = fixed_token
        self.transaction: OpenTransaction | None = None
        self.is_operative = True
        self.goes_inoperative = False
        """ChangeAvailability was answered ``Scheduled``."""
        self.has_finished = False
        """A transaction ended, and the vehicle is still plugged in."""
        self.is_refused = False
        """The backend refused the token of the transaction that runs."""
        self.limit_a: float | None = None
        """What profiles allow now; ``None`` = no limit."""
        self._configuration = configuration
        self._seen: EvseObserved | None = None
        self._asking: str | None = None
        self._authorisation: Authorisation | None = None
        self._energy_wh: float | None = None
        self._sampled_at: datetime | None = None
        self._told: tuple[str, str | None] | None = None
        self._start_is_told = True
        self._has_no_meter = False

    @property
    def was_seen(self) -> bool:
        """Anything at all is known of the box."""
        return self._seen is not None

    @property
    def is_online(self) -> bool:
        """The box answers."""
        return self._seen is not None and self._seen.online

    @property
    def is_plugged(self) -> bool:
        """A vehicle is plugged in, as far as is known."""
        return bool(self._seen and self._seen.state and self._seen.state.has_vehicle)

    @property
    def can_start(self) -> bool:
        """A transaction could begin now, or when a vehicle is plugged in."""
        is_free = self.transaction is None and self._authorisation is None
        return self.is_online and self.is_operative and is_free and self._fault is None

    @property
    def permits_charging(self) -> bool:
        """S25: the backend's side of the permission."""
        return self.transaction is not None and not self.is_refused

    def resume(self, transaction: OpenTransaction) -> None:
        """Go on with a transaction that was open when the last run ended."""
        self.transaction = transaction
        if not self.is_operative:
            self.is_operative, self.goes_inoperative = True, True

    def observe(self, seen: EvseObserved, now: datetime) -> list[Effect]:
        """Take in what is seen at the outlet."""
        before, self._seen = self._seen, _with_last_state(seen, self._seen)
        if seen.energy_wh is not None:
            self._energy_wh = seen.energy_wh
        effects = self._tell_start_when_metered(now)
        if before is None or before.state is None:
            effects += self._first_seen(now)
        elif self.is_plugged and not _plugged(before):
            effects += self._plugged_in(now)
        elif not self.is_plugged and _plugged(before):
            effects += self._unplugged(now)
        if before is not None and _card_shown(before, seen) and seen.token:
            effects += self._card(seen.token, now)
        return effects + self.report(now)

    def tick(self, now: datetime) -> list[Effect]:
        """Let time pass: connection time-out and periodic meter values."""
        effects: list[Effect] = []
        waiting = self._authorisation
        time_out_s = self._configuration.number("ConnectionTimeOut")
        if waiting and (now - waiting.since).total_seconds() >= time_out_s:
            self._authorisation = None
            effects.append(Vacated(self.number))
        effects += self._tell_start_when_metered(now)
        return effects + self._sample_when_due(now) + self.report(now)

    def authorise(self, token: str, now: datetime) -> list[Effect]:
        """Have a token checked, unless another one is being checked."""
        if self._asking is not None:
            return []
        self._asking = token
        return [AskAuthorization(self.number, token), *self.report(now)]

    def authorised(self, token: str, *, accepted: bool, now: datetime) -> list[Effect]:
        """Take in whether a token may charge."""
        self._asking = None
        if not accepted or self.transaction is not None or not self.is_operative:
            return self.report(now)
        self._authorisation = Authorisation(token, now)
        effects = self._begin(now) if self.is_plugged else []
        return effects + self.report(now)

    def started(self, backend_id: int, *, accepted: bool, now: datetime) -> list[Effect]:
        """Take in the backend's answer to StartTransaction."""
        if self.transaction is None:
            return []
        self.transaction = replace(self.transaction, backend_id=backend_id)
        if accepted:
            return []
        self.is_refused = True
        if self._configuration.is_on("StopTransactionOnInvalidId"):
            return self.stop("DeAuthorized", now)
        return self.report(now)

    def stop(self, reason: str, now: datetime, *, token: str | None = None) -> list[Effect]:
        """End the transaction; without one, nothing happens."""
        if self.transaction is None:
            return []
        effects = [] if self._start_is_told else self._tell_start()
        transaction, self.transaction = self.transaction, None
        self.is_refused = False
        self.has_finished = self.is_plugged
        if self.goes_inoperative:
            self.is_operative, self.goes_inoperative = False, False
        payload = payloads.stop(
            meter_stop_wh=self._register_wh, reason=reason, token=token, now=now
        )
        end = End(transaction, payload, still_plugged=self.has_finished)
        return [*effects, end, *self.report(now)]

    def change_availability(self, *, operative: bool) -> str:
        """Return the status of ChangeAvailability.conf."""
        if not operative and self.transaction is not None:
            self.goes_inoperative = True
            return "Scheduled"
        self.is_operative, self.goes_inoperative = operative, False
        return "Accepted"

    def report(self, now: datetime, *, anyway: bool = False) -> list[Effect]:
        """Tell the status if it has changed; nothing is told before anything was seen."""
        if self._seen is None:
            return []
        status = (self._status, self._fault)
        if status == self._told and not anyway:
            return []
        self._told = status
        return [
            Status(self.number, payloads.status(self.number, status[0], fault=status[1], now=now))
        ]

    def meter_values(self, context: str, now: datetime) -> payloads.Payload | None:
        """Return what the meter shows now, or ``None`` when nothing is known."""
        if self._seen is None or not self._seen.online:
            return None
        return payloads.meter_values(
            self.number,
            self._seen,
            measurands=self._measurands,
            context=context,
            in_transaction=self.transaction is not None,
            now=now,
        )

    def triggered_sample(self, now: datetime) -> list[Effect]:
        """Answer TriggerMessage(MeterValues); what is not about a transaction need not be safe."""
        payload = self.meter_values("Trigger", now)
        if payload is None:
            return []
        if self.transaction is not None and self._start_is_told:
            return [Sample(self.transaction, payload)]
        payload.pop("transactionId", None)
        return [Tell("MeterValues", payload)]

    @property
    def _measurands(self) -> list[str]:
        names = self._configuration.text("MeterValuesSampledData").split(",")
        return [name.strip() for name in names if name.strip()]

    @property
    def _register_wh(self) -> int:
        """The meter's register; 0 only for a box that never showed one."""
        return round(self._energy_wh) if self._energy_wh is not None else 0

    @property
    def _fault(self) -> str | None:
        if self._seen is None or not self._seen.online:
            return None
        if self._seen.state is EvseState.F:
            return self._seen.fault or "fault"
        return self._seen.fault

    @property
    def _status(self) -> str:
        """The status of OCPP 1.6, section 4.9."""
        if not (self.is_online and self.is_operative):
            return "Unavailable"
        if self._fault is not None:
            return "Faulted"
        if self.transaction is not None:
            return self._charging_status
        if self.is_plugged:
            return "Finishing" if self.has_finished else "Preparing"
        return "Preparing" if self._authorisation or self._asking else "Available"

    @property
    def _charging_status(self) -> str:
        assert self._seen is not None  # noqa: S101 - is_online says so
        if self._seen.state in {EvseState.C, EvseState.D}:
            return "Charging"
        offered = [a for a in (self.limit_a, self._seen.offered_a) if a is not None]
        if self.is_refused or (offered and min(offered) < MINIMUM_CHARGING_A):
            return "SuspendedEVSE"
        return "SuspendedEV"

    def _first_seen(self, now: datetime) -> list[Effect]:
        """The first word after a start: a transaction that was open goes on, or has ended."""
        if self._seen is None or self._seen.state is None:
            return []
        if self.is_plugged:
            return self._plugged_in(now) if self.transaction is None else []
        return self._unplugged(now)

    def _plugged_in(self, now: datetime) -> list[Effect]:
        if self._authorisation is not None:
            return self._begin(now)
        can_ask = self.can_start and self._asking is None and not self.has_finished
        if self.fixed_token is not None and can_ask:
            return self.authorise(self.fixed_token, now)
        return []

    def _unplugged(self, now: datetime) -> list[Effect]:
        effects = self.stop("EVDisconnected", now)
        self.has_finished = False
        self._authorisation = None
        return [*effects, Vacated(self.number)]

    def _card(self, token: str, now: datetime) -> list[Effect]:
        """A card was shown: the one that started stops, any other starts when nothing runs."""
        if self.transaction is None:
            return self.authorise(token, now) if self.is_operative else []
        if self.transaction.token.casefold() == token.casefold():
            return self.stop("Local", now, token=token)
        return []

    def _begin(self, now: datetime) -> list[Effect]:
        assert self._authorisation is not None  # noqa: S101 - callers look first
        token, self._authorisation = self._authorisation.token, None
        self.has_finished = False
        self._sampled_at = now
        self.transaction = OpenTransaction(
            key=f"{self.evse_id} {payloads.timestamp(now)}",
            connector=self.number,
            token=token,
            meter_start_wh=0,
            started_at=now,
        )
        self._start_is_told = False
        return self._tell_start_when_metered(now)

    def _tell_start_when_metered(self, now: datetime) -> list[Effect]:
        """The start is told with what the meter shows; a restarted box may not know that at once.

        Charging is permitted meanwhile. Whoever shows nothing for so long has no meter.
        """
        if self.transaction is None or self._start_is_told:
            return []
        if now - self.transaction.started_at >= METER_WITHIN:
            self._has_no_meter = True
        if self._energy_wh is None and not self._has_no_meter:
            return []
        return self._tell_start()

    def _tell_start(self) -> list[Effect]:
        assert self.transaction is not None  # noqa: S101 - callers look first
        self._start_is_told = True
        self.transaction = replace(self.transaction, meter_start_wh=self._register_wh)
        payload = payloads.start(
            self.number,
            self.transaction.token,
            meter_start_wh=self.transaction.meter_start_wh,
            started_at=self.transaction.started_at,
        )
        return [Begin(self.transaction, payload)]

    def _sample_when_due(self, now: datetime) -> list[Effect]:
        interval_s = self._configuration.number("MeterValueSampleInterval")
        if self.transaction is None or not self._start_is_told or interval_s == 0:
            return []
        since = self._sampled_at or self.transaction.started_at
        if (now - since).total_seconds() < interval_s:
            return []
        payload = self.meter_values("Sample.Periodic", now)
        if payload is None:
            return []
        self._sampled_at = now
        return [Sample(self.transaction, payload)]


def _plugged(seen: EvseObserved) -> bool:
    return seen.state is not None and seen.state.has_vehicle


def _card_shown(before: EvseObserved, seen: EvseObserved) -> bool:
    """The counter grew. What it shows first in a new epoch may be an old card."""
    if seen.token_seen is None or seen.epoch != before.epoch:
        return False
    return before.token_seen is None or seen.token_seen > before.token_seen


def _with_last_state(seen: EvseObserved, before: EvseObserved | None) -> EvseObserved:
    """An unknown state or counter is the one known last, not a vehicle that left."""
    if before is None:
        return seen
    names = ("state", "token_seen") if seen.epoch == before.epoch else ("state",)
    kept = {name: getattr(before, name) for name in names if getattr(seen, name) is None}
    return seen.model_copy(update=kept) if kept else seen
