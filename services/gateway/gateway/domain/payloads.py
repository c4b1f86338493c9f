"""What a virtual charge point writes: payloads of OCPP 1.6, as plain JSON objects."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.contracts.evse import EvseObserved
from shared.units import PHASES

Payload = dict[str, Any]


def to_text(payload: Payload) -> str:
    """Return a payload as JSON text."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Payload:
    """Return the payload in a text. Raises ``ValueError`` when there is none.

    More is tolerated than JSON allows: peers put control characters into strings.
    """
    try:
        payload = json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if isinstance(payload, dict):
        return payload
    raise ValueError("a payload is a JSON object")


def timestamp(moment: datetime) -> str:
    """Return a moment as OCPP writes it: UTC, milliseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def boot(*, vendor: str, model: str, serial: str, firmware: str) -> Payload:
    """Return BootNotification.req; OCPP limits the fields to 20, 20, 25 and 50 characters."""
    payload = {"chargePointVendor": vendor[:20], "chargePointModel": model[:20] or "EVSE"}
    if serial:
        payload["chargePointSerialNumber"] = serial[:25]
    if firmware:
        payload["firmwareVersion"] = firmware[:50]
    return payload


def status(connector: int, state: str, *, fault: str | None, now: datetime) -> Payload:
    """Return StatusNotification.req."""
    payload = {
        "connectorId": connector,
        "errorCode": "OtherError" if fault is not None else "NoError",
        "status": state,
        "timestamp": timestamp(now),
    }
    return payload | ({"info": fault[:50]} if fault else {})


def start(connector: int, token: str, *, meter_start_wh: int, started_at: datetime) -> Payload:
    """Return StartTransaction.req."""
    return {
        "connectorId": connector,
        "idTag": token[:20],
        "meterStart": meter_start_wh,
        "timestamp": timestamp(started_at),
    }


def stop(*, meter_stop_wh: int, reason: str, token: str | None, now: datetime) -> Payload:
    """Return StopTransaction.req; the transaction id is spliced when the backend has told it."""
    payload: Payload = {
        "transactionId": 0,
        "meterStop": meter_stop_wh,
        "timestamp": timestamp(now),
        "reason": reason,
    }
    return payload | ({"idTag": token[:20]} if token else {})


def meter_values(
    connector: int,
    seen: EvseObserved,
    *,
    measurands: Iterable[str],
    context: str,
    in_transaction: bool,
    now: datetime,
) -> Payload | None:
    """Return MeterValues.req of what is known, or ``None`` when nothing is."""
    sampled = [value for name in measurands for value in _sampled(name, seen, context)]
    if not sampled:
        return None
    payload: Payload = {
        "connectorId": connector,
        "meterValue": [{"timestamp": timestamp(now), "sampledValue": sampled}],
    }
    return {"transactionId": 0} | payload if in_transaction else payload


def _sampled(measurand: str, seen: EvseObserved, context: str) -> list[Payload]:
    found: list[tuple[str | None, float | None, str, int]] = []
    match measurand:
        case "Energy.Active.Import.Register":
            found = [(None, seen.energy_wh, "Wh", 0)]
        case "Power.Active.Import":
            found = [(None, seen.power_w, "W", 0)]
        case "Current.Offered":
            found = [(None, seen.offered_a, "A", 1)]
        case "Current.Import":
            amps = seen.current_a or ()
            found = [
                (phase.value, value, "A", 2) for phase, value in zip(PHASES, amps, strict=False)
            ]
    return [
        {
            "value": f"{value:.{digits}f}",
            "context": context,
            "format": "Raw",
            "measurand": measurand,
            "unit": unit,
        }
        | ({"phase": phase} if phase else {})
        for phase, value, unit, digits in found
        if value is not None
    ]
