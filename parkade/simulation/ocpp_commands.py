"""How a simulated station answers each command of OCPP 1.6. One function each, and the table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING

from parkade.simulation.ocpp_link import OcppLink, Payload
from parkade.simulation.ocpp_metering import TRIGGERED, timestamp
from parkade.simulation.profiles import Profile, Purpose, parse_profile
from shared.errors import Refused

if TYPE_CHECKING:
    from parkade.simulation.ocpp_box import OcppBox
    from parkade.simulation.ocpp_connector import Connector

Command = Callable[["OcppBox", Payload], Payload]

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def _connector(box: OcppBox, payload: Payload) -> Connector | None:
    number = payload.get("connectorId")
    known = isinstance(number, int) and 1 <= number <= len(box.connectors)
    return box.connector(number) if known and isinstance(number, int) else None


def _remote_start(box: OcppBox, payload: Payload) -> Payload:
    connector = _connector(box, payload)
    if "connectorId" not in payload:
        free = (c for c in box.connectors if c.transaction is None and c.is_available)
        connector = next(free, None)
    if connector is None or connector.transaction is not None or not connector.is_available:
        return REJECTED
    if "chargingProfile" in payload:
        now = box.clock.now()
        profile = parse_profile(connector.number, payload["chargingProfile"], now)
        if profile.purpose is not Purpose.TRANSACTION:
            return REJECTED
        box.profiles.install(profile)
    token = str(payload["idTag"])
    if box.settings.is_on("AuthorizeRemoteTxRequests"):
        box.authorize(connector, token)
    else:
        connector.authorized(token)
    return ACCEPTED


def _remote_stop(box: OcppBox, payload: Payload) -> Payload:
    for connector in box.connectors:
        transaction = connector.transaction
        if transaction is not None and transaction.id == payload["transactionId"]:
            connector.stop("Remote")
            return ACCEPTED
    return REJECTED


def _set_charging_profile(box: OcppBox, payload: Payload) -> Payload:
    number = int(payload["connectorId"])
    profile = parse_profile(number, payload["csChargingProfiles"], box.clock.now())
    if box.options.quirks.refuses_profiles or not _fits(box, profile):
        return REJECTED
    box.profiles.install(profile)
    return ACCEPTED


def _fits(box: OcppBox, profile: Profile) -> bool:
    """Sections 5.16 and 3.13.2: which profile may be where."""
    is_highest = profile.stack_level > box.settings.number("ChargeProfileMaxStackLevel")
    is_long = len(profile.periods) > box.settings.number("ChargingScheduleMaxPeriods")
    if is_highest or is_long or not 0 <= profile.connector <= len(box.connectors):
        return False
    if profile.purpose is Purpose.STATION:
        return profile.connector == 0
    if profile.purpose is Purpose.DEFAULT:
        return True
    transaction = box.connector(profile.connector).transaction if profile.connector else None
    if transaction is None:
        return False
    return profile.transaction_id in {None, transaction.id}


def _clear_charging_profile(box: OcppBox, payload: Payload) -> Payload:
    is_cleared = box.profiles.clear(
        profile_id=payload.get("id"),
        connector=payload.get("connectorId"),
        purpose=payload.get("chargingProfilePurpose"),
        stack_level=payload.get("stackLevel"),
    )
    return ACCEPTED if is_cleared else {"status": "Unknown"}


def _composite_schedule(box: OcppBox, payload: Payload) -> Payload:
    number, duration_s = int(payload["connectorId"]), int(payload["duration"])
    if not 0 <= number <= len(box.connectors):
        return REJECTED
    transaction = box.connector(number).transaction if number else None
    now = box.clock.now()
    running = transaction.running if transaction else None
    stretches = box.profiles.composite(number, now, duration_s=duration_s, running=running)
    unit = payload.get("chargingRateUnit", "A")
    return {
        "status": "Accepted",
        "connectorId": number,
        "scheduleStart": timestamp(now.astimezone(UTC)),
        "chargingSchedule": {
            "duration": duration_s,
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [
                {
                    "startPeriod": stretch.start_s,
                    "limit": stretch.rate(unit),
                    "numberPhases": stretch.limit.phases,
                }
                for stretch in stretches
            ],
        },
    }


def _change_configuration(box: OcppBox, payload: Payload) -> Payload:
    key, value = str(payload["key"]), str(payload["value"])
    status = box.settings.change(key, value)
    if status == "Accepted" and key == "AuthorizationKey":
        box.password = _key_bytes(value)
        box.reconnect()
    return {"status": status}


def _key_bytes(value: str) -> bytes:
    """The key travels as hex, and the password is what it stands for (white paper, A00)."""
    try:
        return bytes.fromhex(value)
    except ValueError:
        return value.encode()


def _get_configuration(box: OcppBox, payload: Payload) -> Payload:
    known, unknown = box.settings.shown(list(payload.get("key") or []))
    answer: Payload = {"configurationKey": known}
    if unknown:
        answer["unknownKey"] = unknown
    return answer


def _change_availability(box: OcppBox, payload: Payload) -> Payload:
    number = int(payload["connectorId"])
    if not 0 <= number <= len(box.connectors):
        return REJECTED
    meant = [c for c in box.connectors if number in {0, c.number}]
    for connector in meant:
        connector.is_available = payload["type"] == "Operative"
    is_busy = any(c.transaction is not None and not c.is_available for c in meant)
    return {"status": "Scheduled" if is_busy else "Accepted"}


def _unlock_connector(box: OcppBox, payload: Payload) -> Payload:
    connector = _connector(box, payload)
    if connector is None:
        return {"status": "NotSupported"}
    connector.stop("UnlockCommand")
    return {"status": "Unlocked"}


def _reset(box: OcppBox, payload: Payload) -> Payload:
    reason = "HardReset" if payload["type"] == "Hard" else "SoftReset"

    async def after_the_answer(_link: OcppLink) -> None:
        box.reset(reason)

    box.post(after_the_answer)
    return ACCEPTED


def _trigger_message(box: OcppBox, payload: Payload) -> Payload:
    wanted = payload["requestedMessage"]
    connector = _connector(box, payload)
    if "connectorId" in payload and connector is None:
        return REJECTED
    meant = [connector] if connector is not None else box.connectors
    match wanted:
        case "BootNotification":
            _trigger_boot(box)
        case "Heartbeat":
            box.post(_heartbeat)
        case "StatusNotification":
            for one in meant:
                box.report_status_again(one.number)
        case "MeterValues":
            for one in meant:
                box.post(lambda link, one=one: _meter_values(link, one))  # type: ignore[misc]
        case _:
            return {"status": "NotImplemented"}
    return ACCEPTED


def _trigger_boot(box: OcppBox) -> None:
    if not box.is_connected:
        box.boot_now.set()
        return

    async def boot(link: OcppLink) -> None:
        await box.boot(link)

    box.post(boot)


async def _heartbeat(link: OcppLink) -> None:
    await link.call("Heartbeat", {})


async def _meter_values(link: OcppLink, connector: Connector) -> None:
    sample = connector.sample(TRIGGERED)
    payload: Payload = {"connectorId": connector.number, "meterValue": [sample]}
    transaction = connector.transaction
    if transaction is not None and transaction.id is not None:
        payload["transactionId"] = transaction.id
    await link.call("MeterValues", payload)


def _data_transfer(box: OcppBox, payload: Payload) -> Payload:
    reply = box.options.data_transfer_replies.get(payload["vendorId"])
    return dict(reply) if reply is not None else {"status": "UnknownVendorId"}


def _clear_cache(box: OcppBox, _payload: Payload) -> Payload:
    box.forget_tokens()
    return ACCEPTED


def _not_supported(_box: OcppBox, _payload: Payload) -> Payload:
    raise Refused("NotSupported")


COMMANDS: dict[str, Command] = {
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "SetChargingProfile": _set_charging_profile,
    "ClearChargingProfile": _clear_charging_profile,
    "GetCompositeSchedule": _composite_schedule,
    "ChangeConfiguration": _change_configuration,
    "GetConfiguration": _get_configuration,
    "ChangeAvailability": _change_availability,
    "UnlockConnector": _unlock_connector,
    "Reset": _reset,
    "TriggerMessage": _trigger_message,
    "DataTransfer": _data_transfer,
    "ClearCache": _clear_cache,
    # Feature profiles that SupportedFeatureProfiles does not list:
    "ReserveNow": _not_supported,
    "CancelReservation": _not_supported,
    "SendLocalList": _not_supported,
    "GetLocalListVersion": _not_supported,
    "UpdateFirmware": _not_supported,
    "GetDiagnostics": _not_supported,
}
"""Action -> answer. Anything else is NotImplemented."""
