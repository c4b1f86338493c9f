"""One connector of an OCPP station: what its firmware does ten times a second. No network here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from parkade.simulation.contactor import PhaseFirmware
from parkade.simulation.delay import Delayed
from parkade.simulation.ocmf import SigningMeter
from parkade.simulation.ocpp_link import Payload
from parkade.simulation.ocpp_metering import (
    BEGIN,
    END,
    PERIODIC,
    meter_value,
    signed_meter_value,
    timestamp,
)
from parkade.simulation.ocpp_options import BoxOptions
from parkade.simulation.ocpp_outbox import Outbox
from parkade.simulation.ocpp_settings import Settings
from parkade.simulation.outlet import Outlet
from parkade.simulation.profile_stack import ProfileStack
from parkade.simulation.profiles import Limit, Running
from shared.clock import Clock
from shared.contracts.evse import EvseState

NOTHING = Limit(0.0)
UNKNOWN_TRANSACTION = -1
"""StopTransaction of a transaction whose start was never answered (errata of 1.6)."""


class Station(Protocol):
    """What a connector needs of its station."""

    options: BoxOptions
    settings: Settings
    outbox: Outbox
    profiles: ProfileStack
    meter: SigningMeter | None
    clock: Clock

    def authorize(self, connector: "Connector", token: str) -> None:
        """Ask whether a token may charge here; the answer comes to ``connector.authorized``."""
        ...

    def charging_connectors(self) -> int:
        """How many connectors have a transaction: they share the station's maximum."""
        ...


@dataclass(kw_only=True)
class Transaction:
    """A running transaction. ``id`` arrives with the answer to StartTransaction."""

    token: str
    started_at: datetime
    meter_start_wh: float
    next_sample_s: float
    id: int | None = None
    may_charge: bool = True
    records: list[Payload] = field(default_factory=list)
    """transactionData of StopTransaction."""

    @property
    def running(self) -> Running:
        """As charging profiles see it."""
        return Running(transaction_id=self.id, started_at=self.started_at)


class Connector:
    """One outlet of the station."""

    def __init__(
        self,
        station: Station,
        outlet: Outlet,
        *,
        number: int,
        allow: Callable[[Limit], None] | None = None,
    ) -> None:
        self.outlet = outlet
        self.number = number
        self.transaction: Transaction | None = None
        self.is_available = True
        self.status = "Available"
        self._station = station
        self._allow = allow or self._offer_to_car
        """Where a limit goes; a Power Brain takes its minimum with Modbus first (S25)."""
        self._limit = Delayed(outlet.max_a, station.options.quirks.obeys_after_s)
        self._firmware = PhaseFirmware(
            outlet, takes_s=station.options.quirks.switches_phases_after_s
        )
        self._now_s = 0.0
        self._token: tuple[str, float] | None = None
        """An authorised token that waits for a car, and until when."""
        self._had_car = outlet.car is not None
        self._swipes = outlet.swipes
        self._is_finishing = False
        self._begins = station.options.autostart_token is not None and self._had_car

    def step(self, now_s: float) -> None:
        """Look at the outlet and act. Called ten times a second."""
        self._now_s = now_s
        self._notice_car()
        self._notice_card()
        self._start_when_ready(now_s)
        self._offer(now_s)
        self._sample_when_due(now_s)
        self.status = self._present_status()

    def authorized(self, token: str) -> None:
        """A token may charge here; a car has ConnectionTimeOut seconds to arrive."""
        patience_s = self._station.settings.number("ConnectionTimeOut")
        self._token = (token, self._station.clock.monotonic() + patience_s)

    def stop(self, reason: str) -> None:
        """End the transaction, if there is one."""
        transaction = self.transaction
        if transaction is None:
            return
        self.transaction = None
        self._is_finishing = self.outlet.car is not None
        self._station.profiles.end_transaction(self.number)
        self._allow(NOTHING)
        now = self._station.clock.now()
        self._record_end(transaction, now)
        meter_stop = round(self.outlet.energy_wh)

        def build() -> Payload:
            known = transaction.id if transaction.id is not None else UNKNOWN_TRANSACTION
            payload: Payload = {
                "transactionId": known,
                "idTag": transaction.token,
                "meterStop": meter_stop,
                "timestamp": timestamp(now),
                "reason": reason,
            }
            if transaction.records:
                payload["transactionData"] = transaction.records
            return payload

        self._station.outbox.add("StopTransaction", build)

    def go_dark(self) -> None:
        """The station has no power: nothing is offered, and the transaction is not over yet."""
        self._allow(NOTHING)

    def limit(self) -> Limit:
        """Return what profiles allow here now."""
        running = self.transaction.running if self.transaction else None
        return self._station.profiles.limit_at(
            self.number,
            self._station.clock.now(),
            running=running,
            sharing=self._station.charging_connectors(),
        )

    def _notice_car(self) -> None:
        has_car = self.outlet.car is not None
        if has_car and not self._had_car:
            self._begins = self._station.options.autostart_token is not None
        if self._had_car and not has_car:
            self._begins = self._is_finishing = False
            self.stop("EVDisconnected")
        self._had_car = has_car

    def _notice_card(self) -> None:
        if self._swipes == self.outlet.swipes or self.outlet.token is None:
            return
        self._swipes = self.outlet.swipes
        token = self.outlet.token
        if self.transaction is None:
            self._station.authorize(self, token)
        elif self.transaction.token.casefold() == token.casefold():
            self.stop("Local")

    def _start_when_ready(self, now_s: float) -> None:
        if self._token is not None and self._token[1] < self._station.clock.monotonic():
            self._token = None
        free = self._station.options.autostart_token if self._begins else None
        token = self._token[0] if self._token is not None else free
        may_start = self.is_available and self.outlet.fault is None and self.transaction is None
        if token is not None and may_start and self.outlet.car is not None:
            self._start(token, now_s)

    def _start(self, token: str, now_s: float) -> None:
        self._token, self._begins, self._is_finishing = None, False, False
        now = self._station.clock.now()
        transaction = Transaction(
            token=token,
            started_at=now,
            meter_start_wh=self.outlet.energy_wh,
            next_sample_s=now_s + self._sample_interval_s,
        )
        self.transaction = transaction
        self._record_begin(transaction, now)
        start: Payload = {
            "connectorId": self.number,
            "idTag": token,
            "meterStart": round(transaction.meter_start_wh),
            "timestamp": timestamp(now),
        }

        def on_answer(answer: Payload) -> None:
            self._started(transaction, answer)

        self._station.outbox.add("StartTransaction", lambda: start, on_answer=on_answer)

    def _started(self, transaction: Transaction, answer: Payload) -> None:
        transaction.id = answer.get("transactionId")
        if answer.get("idTagInfo", {}).get("status") == "Accepted":
            return
        transaction.may_charge = False
        if self.transaction is transaction and self._station.settings.is_on(
            "StopTransactionOnInvalidId"
        ):
            self.stop("DeAuthorized")

    def _offer(self, now_s: float) -> None:
        quirks = self._station.options.quirks
        limit = self.limit()
        self._limit.say(self.outlet.max_a if quirks.ignores_limits else limit.amps, now_s)
        if self.transaction is None or not self.transaction.may_charge:
            self._allow(NOTHING)
            return
        self._allow(Limit(self._limit.noticed(now_s), limit.phases))

    def _offer_to_car(self, limit: Limit) -> None:
        is_connected = True
        if limit.amps > 0 and self._obeys_phases:
            phases = min(limit.phases, self.outlet.phases)
            is_connected = self._firmware.connect(phases, self._now_s)
        self.outlet.offer(limit.amps if is_connected else 0.0)

    @property
    def _obeys_phases(self) -> bool:
        station = self._station
        is_able = station.settings.is_on("ConnectorSwitch3to1PhaseSupported")
        return is_able and not station.options.quirks.ignores_number_phases

    @property
    def _sample_interval_s(self) -> int:
        return self._station.settings.number("MeterValueSampleInterval")

    def _sample_when_due(self, now_s: float) -> None:
        transaction = self.transaction
        if transaction is None or not self._sample_interval_s:
            return
        # The interval may have been shortened meanwhile.
        transaction.next_sample_s = min(transaction.next_sample_s, now_s + self._sample_interval_s)
        if now_s < transaction.next_sample_s:
            return
        transaction.next_sample_s = now_s + self._sample_interval_s
        sample = self.sample(PERIODIC)

        def build() -> Payload:
            payload: Payload = {"connectorId": self.number, "meterValue": [sample]}
            if transaction.id is not None:
                payload["transactionId"] = transaction.id
            return payload

        self._station.outbox.add("MeterValues", build)

    def sample(self, context: str) -> Payload:
        """Return a MeterValue of this moment."""
        measurands = self._station.settings.listed("MeterValuesSampledData")
        now = self._station.clock.now()
        return meter_value(self.outlet, measurands, context=context, now=now)

    def _record_begin(self, transaction: Transaction, now: datetime) -> None:
        self._record(transaction, BEGIN, "B", now=now)

    def _record_end(self, transaction: Transaction, now: datetime) -> None:
        self._record(transaction, END, "E", now=now)

    def _record(
        self, transaction: Transaction, context: str, letter: str, *, now: datetime
    ) -> None:
        measurands = self._station.settings.listed("StopTxnSampledData")
        if measurands:
            value = meter_value(self.outlet, measurands, context=context, now=now)
            transaction.records.append(value)
        meter = self._station.meter
        if meter is not None:
            energy_wh = self.outlet.energy_wh
            record = meter.reading(letter, energy_wh, at=now, token=transaction.token)
            text = meter.signed_value(record)
            transaction.records.append(signed_meter_value(text, context=context, at=now))

    def _present_status(self) -> str:
        if self.outlet.fault is not None:
            return "Faulted"
        if self.transaction is not None:
            return self._transaction_status()
        if self._is_finishing:
            return "Finishing"
        if self.outlet.car is not None or self._token is not None:
            return "Preparing"
        return "Available" if self.is_available else "Unavailable"

    def _transaction_status(self) -> str:
        if self.outlet.state is EvseState.C:
            return "Charging"
        return "SuspendedEV" if self.outlet.offered_a > 0 else "SuspendedEVSE"
