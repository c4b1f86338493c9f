"""A virtual OCPP 1.6 charge point: what each call of the backend does to its outlets. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from gateway.domain import payloads
from gateway.domain.answers import Outcome, answered, fault, status
from gateway.domain.charging_desk import ChargingDesk
from gateway.domain.configuration import Configuration
from gateway.domain.connector import Connector
from gateway.domain.effects import Effect, Keep, Reconnect, Status, Tell
from gateway.domain.payloads import Payload

CONFIG = "config/"
"""Prefix of kept configuration keys."""
AVAILABILITY = "availability/"
"""Prefix of kept availabilities."""


class ChargePoint:
    """The outlets of a virtual charge point, and the calls it understands."""

    def __init__(
        self,
        connectors: Mapping[int, Connector],
        *,
        configuration: Configuration,
        desk: ChargingDesk,
        boot: Payload,
    ) -> None:
        self.connectors = connectors
        self.configuration = configuration
        self.boot = boot
        self._desk = desk
        self._told: str | None = None
        self._handlers: Mapping[str, Callable[[Payload, datetime], Outcome]] = {
            "CancelReservation": lambda _payload, _now: status("Rejected"),
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearCache": lambda _payload, _now: status("Accepted"),
            "DataTransfer": lambda _payload, _now: status("UnknownVendorId"),
            "GetConfiguration": self._get_configuration,
            "GetDiagnostics": lambda _payload, _now: fault("NotSupported"),
            "GetLocalListVersion": lambda _payload, _now: answered({"listVersion": -1}),
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "ReserveNow": lambda _payload, _now: status("Rejected"),
            "Reset": self._reset,
            "SendLocalList": lambda _payload, _now: status("NotSupported"),
            "TriggerMessage": self._trigger,
            "UnlockConnector": lambda _payload, _now: status("NotSupported"),
            "UpdateFirmware": lambda _payload, _now: fault("NotSupported"),
        }

    def handle(self, action: str, payload: Payload, now: datetime) -> Outcome:
        """Answer a call. What lacks a field or has a wrong one is a ``FormationViolation``."""
        handler = self._handlers.get(action)
        if handler is None:
            return fault("NotImplemented", f"{action} is not known here")
        try:
            return handler(payload, now)
        except (KeyError, TypeError, ValueError, AttributeError):
            return fault("FormationViolation", f"{action} lacks a field or has a wrong one")

    def report(self, now: datetime, *, anyway: bool = False) -> list[Effect]:
        """Tell the status of the charge point as a whole (connector 0) if it has changed."""
        if not any(c.was_seen for c in self.connectors.values()):
            return []
        any_usable = any(c.is_online and c.is_operative for c in self.connectors.values())
        state = "Available" if any_usable else "Unavailable"
        if state == self._told and not anyway:
            return []
        self._told = state
        return [Status(0, payloads.status(0, state, fault=None, now=now))]

    def _remote_start(self, payload: Payload, now: datetime) -> Outcome:
        token, connector = str(payload["idTag"]), self._for_start(payload.get("connectorId"))
        if connector is None or not connector.can_start:
            return status("Rejected")
        effects: list[Effect] = []
        profile = payload.get("chargingProfile")
        if profile is not None:
            try:
                effects.append(self._desk.set_for_start(connector.number, profile))
            except ValueError:
                return status("Rejected")
        if self.configuration.is_on("AuthorizeRemoteTxRequests"):
            effects += connector.authorise(token, now)
        else:
            effects += connector.authorised(token, accepted=True, now=now)
        return status("Accepted", *effects)

    def _for_start(self, number: object) -> Connector | None:
        """Return the outlet that is meant; where none is named, one with a vehicle if possible."""
        if number is not None:
            return self.connectors.get(number) if isinstance(number, int) else None
        free = [c for c in self.connectors.values() if c.can_start]
        return next((c for c in free if c.is_plugged), free[0] if free else None)

    def _remote_stop(self, payload: Payload, now: datetime) -> Outcome:
        wanted = int(payload["transactionId"])
        for connector in self.connectors.values():
            transaction = connector.transaction
            if transaction is not None and transaction.backend_id == wanted:
                return status("Accepted", *connector.stop("Remote", now))
        return status("Rejected")

    def _change_availability(self, payload: Payload, now: datetime) -> Outcome:
        number, operative = int(payload["connectorId"]), payload["type"] == "Operative"
        meant = [c for c in self.connectors.values() if number in (0, c.number)]
        if not meant or payload["type"] not in {"Operative", "Inoperative"}:
            return status("Rejected")
        words = {c.change_availability(operative=operative) for c in meant}
        effects: list[Effect] = []
        for connector in meant:
            effects.append(Keep(f"{AVAILABILITY}{connector.number}", payload["type"]))
            effects += connector.report(now)
        effects += self.report(now)
        return status("Scheduled" if "Scheduled" in words else "Accepted", *effects)

    def _change_configuration(self, payload: Payload, _now: datetime) -> Outcome:
        name, value = str(payload["key"]), str(payload["value"])
        word = self.configuration.change(name, value)
        if word != "Accepted":
            return status(word)
        written = self.configuration.written
        canonical = next(key for key in written if key.casefold() == name.casefold())
        return status(word, Keep(CONFIG + canonical, written[canonical]))

    def _get_configuration(self, payload: Payload, _now: datetime) -> Outcome:
        names = payload.get("key") or []
        return answered(self.configuration.report([str(name) for name in names]))

    def _reset(self, payload: Payload, now: datetime) -> Outcome:
        kind = payload["type"]
        if kind not in {"Soft", "Hard"}:
            raise ValueError(kind)
        stopped = [
            effect
            for connector in self.connectors.values()
            for effect in connector.stop(f"{kind}Reset", now)
        ]
        return status("Accepted", *stopped, Reconnect())

    def _trigger(self, payload: Payload, now: datetime) -> Outcome:
        number = payload.get("connectorId")
        meant = [c for c in self.connectors.values() if number in (None, 0, c.number)]
        if not meant:
            return status("Rejected")
        effects: list[Effect] = []
        match payload["requestedMessage"]:
            case "BootNotification":
                effects.append(Tell("BootNotification", self.boot))
            case "Heartbeat":
                effects.append(Tell("Heartbeat", {}))
            case "StatusNotification":
                effects += self._statuses(number, meant, now)
            case "MeterValues":
                effects += _readings(meant, now)
            case "DiagnosticsStatusNotification" | "FirmwareStatusNotification":
                return status("NotImplemented")
            case other:
                raise ValueError(other)
        return status("Accepted", *effects)

    def _statuses(self, number: object, meant: list[Connector], now: datetime) -> list[Effect]:
        whole = self.report(now, anyway=True) if number in (None, 0) else []
        each = [] if number == 0 else meant
        return whole + [effect for c in each for effect in c.report(now, anyway=True)]


def _readings(meant: list[Connector], now: datetime) -> list[Effect]:
    """Return what the meters show; inside a transaction it is a billing fact."""
    effects: list[Effect] = []
    for connector in meant:
        effects += connector.triggered_sample(now)
    return effects
