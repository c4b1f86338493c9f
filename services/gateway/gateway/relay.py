"""Calls of a backend on their way to an OCPP station, and the answers back (S13).

The text goes through as it is; only numbers that name a transaction or connector are replaced.
"""

import json
import re

from gateway.domain.answers import Outcome, fault, status
from gateway.domain.payloads import Payload
from gateway.domain.roster import PlannedConnector, UplinkPlan
from gateway.outbox import Outbox
from shared.bus.port import Bus
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.errors import ParkadeError, ReplyTimeout, Unroutable
from shared.splice import splice_integer

ANSWER_WITHIN_S = 25.0
"""Before the backend gives up, which is after 30 s at many."""

_OURS = re.compile(
    r"authorizationkey|securityprofile|centralsystem|backend|endpoint|server|url"
    r"|chargepointid|chargeboxid|chargepointidentity|basicauth",
    re.IGNORECASE,
)
"""Configuration keys that would take the station away from us."""
REFUSED = {
    "CertificateSigned": "Rejected",
    "InstallCertificate": "Rejected",
    "DeleteCertificate": "Failed",
}
"""Calls that would change whom the station trusts: it talks to us, not to the backend."""


class StationRelay:
    """The way to the stations of one charge point.

    Silence: a station that does not answer counts as one that rejects a remote start or stop, and
    as an internal error for anything else.
    """

    def __init__(self, plan: UplinkPlan, outbox: Outbox, bus: Bus) -> None:
        self._plan = plan
        self._outbox = outbox
        self._bus = bus

    async def station_of_transaction(self, backend_id: object) -> PlannedConnector | None:
        """Return the outlet at which an OCPP station runs a transaction of the backend."""
        if not isinstance(backend_id, int):
            return None
        found = await self._outbox.by_backend_id(self._plan.uplink_id, backend_id)
        if found is None or found.station_id is None:
            return None
        return self._plan.connector(found.connector)

    async def pass_on(
        self, station_id: str, action: str, payload: Payload, *, payload_text: str
    ) -> Outcome:
        """Have a station answer a call of the backend."""
        refusal = _refusal(action, payload)
        if refusal is not None:
            return refusal
        text = await self._for_station(action, payload, payload_text)
        if text is None:
            return _unreachable(action)
        return _answer(action, await self._ask(station_id, action, text))

    async def _for_station(self, action: str, payload: Payload, text: str) -> str | None:
        """Return the text with the station's own numbers in it; ``None`` = it knows no such one."""
        if action == "RemoteStartTransaction" and "chargingProfile" in payload:
            # The profile is in our store; the station's limit is load management's alone (S25).
            text = json.dumps({k: v for k, v in payload.items() if k != "chargingProfile"})
        number = payload.get("connectorId")
        if isinstance(number, int) and number > 0:
            connector = self._plan.connector(number)
            if connector is None:
                return None
            if connector.evse.connector != number:
                text = splice_integer(text, "connectorId", connector.evse.connector)
        if isinstance(payload.get("transactionId"), int):
            found = await self._outbox.by_backend_id(self._plan.uplink_id, payload["transactionId"])
            if found is None or found.local_id is None:
                return None
            text = splice_integer(text, "transactionId", found.local_id)
        return text

    async def _ask(self, station_id: str, action: str, text: str) -> CallOutcome:
        question = CallStation(
            station_id=station_id, action=action, payload_text=text, timeout_s=ANSWER_WITHIN_S
        )
        try:
            return await self._bus.ask(question, timeout_s=ANSWER_WITHIN_S + 2)
        except Unroutable:
            return CallOutcome(outcome=CallResult.OFFLINE)
        except ReplyTimeout:
            return CallOutcome(outcome=CallResult.TIMEOUT)
        except ParkadeError as error:
            return CallOutcome(outcome=CallResult.ERROR, error_description=str(error))


def _refusal(action: str, payload: Payload) -> Outcome | None:
    if action in REFUSED:
        return status(REFUSED[action])
    if action == "ChangeConfiguration" and _OURS.search(str(payload.get("key", ""))):
        return status("Rejected")
    return None


def _answer(action: str, outcome: CallOutcome) -> Outcome:
    match outcome.outcome:
        case CallResult.ANSWERED if outcome.payload_text is not None:
            return Outcome(outcome.payload_text)
        case CallResult.ERROR:
            return fault(outcome.error_code or "InternalError", outcome.error_description or "")
    return _unreachable(action)


def _unreachable(action: str) -> Outcome:
    if action in {"RemoteStartTransaction", "RemoteStopTransaction"}:
        return status("Rejected")
    return fault("InternalError", "the station does not answer")
