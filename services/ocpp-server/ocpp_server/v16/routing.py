"""Which action is answered by whom: one table."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto

from ocpp_server.answers import Answer, Fault, Later
from ocpp_server.domain.frames import Call, ErrorCode
from ocpp_server.metrics import CALLS
from ocpp_server.station import Station
from ocpp_server.v16 import boot, jobs, notices, outlets, security, signed, transactions
from ocpp_server.v16.reading import check
from ocpp_server.v16.relaying import backend_answer, copy_to_backend
from ocpp_server.v16.schemas import actions

Prompt = Callable[[Station, Call], Answer | Later]
Patient = Callable[[Station, Call], Awaitable[Answer]]
Record = Callable[[Station, Call], Awaitable[None]]


class Backend(Enum):
    """What a backend has to do with an action, at stations that have one."""

    NOTHING = auto()
    COPY = auto()
    """We answer, it gets a copy."""
    DECIDES = auto()
    """Its answer is the answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one action is answered."""

    prompt: Prompt
    backend: Backend = Backend.NOTHING
    record: Record | None = None
    """Makes durable facts of it, before it is answered."""
    is_recorded: Callable[[Call], bool] = lambda _call: True
    """A cheap look whether there is anything to record."""


_ROUTES: dict[str, Route] = {
    "Authorize": Route(notices.authorize, Backend.DECIDES),
    "BootNotification": Route(boot.boot_notification, Backend.COPY),
    "DataTransfer": Route(notices.data_transfer, Backend.DECIDES),
    "DiagnosticsStatusNotification": Route(jobs.progress, Backend.COPY, jobs.tell_progress),
    "FirmwareStatusNotification": Route(jobs.progress, Backend.COPY, jobs.tell_progress),
    "Heartbeat": Route(boot.heartbeat),
    "LogStatusNotification": Route(jobs.progress, record=jobs.tell_progress),
    "MeterValues": Route(
        outlets.meter_values, Backend.COPY, signed.keep_signed_values, signed.has_signed_values
    ),
    "SecurityEventNotification": Route(
        security.security_event, Backend.DECIDES, security.tell_security_event
    ),
    "SignCertificate": Route(security.sign_certificate),
    "SignedFirmwareStatusNotification": Route(jobs.progress, record=jobs.tell_progress),
    "StatusNotification": Route(outlets.status_notification, Backend.COPY),
}

_LEDGER_ROUTES: dict[str, Patient] = {
    "StartTransaction": transactions.start_transaction,
    "StopTransaction": transactions.stop_transaction,
}
"""Recorded before they are answered."""

_NOT_IMPLEMENTED = Fault(ErrorCode.NOT_IMPLEMENTED, "this action is not answered here")
_UNKNOWN = Fault(ErrorCode.NOT_IMPLEMENTED, "this action is not known")


class Router:
    """Answers the calls of one station."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def answer_now(self, call: Call) -> Answer | Later | None:
        """Answer without waiting for anything; None, and nothing done, where that cannot be."""
        route = _ROUTES.get(call.action)
        if route is None:
            return None if call.action in _LEDGER_ROUTES else self._unrouted(call)
        if route.backend is not Backend.NOTHING and self._station.backend_evse is not None:
            return None
        if route.record is not None and route.is_recorded(call):
            return None
        CALLS.counts[call.action] += 1
        return check(call) or route.prompt(self._station, call)

    async def answer(self, call: Call) -> Answer | Later:
        """Answer a call that has to wait for the ledger, the bus or a backend."""
        CALLS.counts[call.action] += 1
        fault = check(call)
        if fault is not None:
            return fault
        patient = _LEDGER_ROUTES.get(call.action)
        if patient is not None:
            return await patient(self._station, call)
        return await self._with_backend(call, _ROUTES[call.action])

    async def _with_backend(self, call: Call, route: Route) -> Answer | Later:
        station = self._station
        if route.record is not None and route.is_recorded(call):
            await route.record(station, call)
        if route.backend is Backend.COPY:
            await copy_to_backend(station, call)
        own = route.prompt(station, call)
        if route.backend is Backend.DECIDES:
            decided = await backend_answer(station, call)
            return own if decided is None else decided
        return own

    def _unrouted(self, call: Call) -> Fault:
        return _NOT_IMPLEMENTED if call.action in actions() else _UNKNOWN
