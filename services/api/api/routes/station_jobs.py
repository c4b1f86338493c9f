"""``/stations/{id}``: firmware, diagnostics, logs, and what a station told of its security."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, model_validator

from api.deps import Parts, PartsDep
from api.domain.station_jobs import JobRecord
from api.routes.ordering import known_station, ocpp_station, send_call
from api.routes.stations import CallAnswer
from shared.contracts.station import SecurityEventReported

router = APIRouter(tags=["stations"])
Limit = Annotated[int, Query(ge=1, le=1_000)]


class JobAnswer(CallAnswer):
    """What became of an order to do something that takes time; progress is in ``jobs``."""

    request_id: int | None = None
    """The station names it in its reports; orders of OCPP 1.6 itself have none."""


class Repeating(BaseModel):
    """How often a station tries."""

    retries: int | None = None
    retry_interval_s: int | None = None


class FirmwareBody(Repeating):
    """What to install. With a certificate it is sent as a signed update."""

    location: str
    retrieve_at: AwareDatetime
    install_at: AwareDatetime | None = None
    """Signed updates only; ``null`` = when it is there."""
    signing_certificate: str | None = None
    """PEM, of the manufacturer."""
    signature: str | None = None
    """Base64."""
    request_id: int | None = None

    @model_validator(mode="after")
    def _is_signed_or_not(self) -> "FirmwareBody":
        if (self.signing_certificate is None) != (self.signature is None):
            raise ValueError("signing_certificate and signature belong together: give both or none")
        if self.signing_certificate is None and self.install_at is not None:
            raise ValueError("install_at is possible with signed updates only")
        return self


class DiagnosticsBody(Repeating):
    """Where to upload diagnostics, and of which time."""

    location: str
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class LogBody(Repeating):
    """Which log to upload where."""

    type: Literal["DiagnosticsLog", "SecurityLog"]
    location: str
    oldest: AwareDatetime | None = None
    newest: AwareDatetime | None = None
    request_id: int | None = None


@router.get("/stations/{station_id:path}/jobs", summary="List firmware, log and certificate jobs")
async def list_jobs(station_id: str, parts: PartsDep, limit: Limit = 100) -> list[JobRecord]:
    """Newest first, with every step that the station told."""
    return await parts.station_records.jobs(known_station(parts, station_id), limit=limit)


@router.get(
    "/stations/{station_id:path}/security-events", summary="List what concerned its security"
)
async def list_security_events(
    station_id: str, parts: PartsDep, limit: Limit = 100
) -> list[SecurityEventReported]:
    """Newest first."""
    station = known_station(parts, station_id)
    return await parts.station_records.security_events(station, limit=limit)


@router.post("/stations/{station_id:path}/firmware", summary="Update the firmware")
async def update_firmware(station_id: str, body: FirmwareBody, parts: PartsDep) -> JobAnswer:
    """UpdateFirmware, or SignedUpdateFirmware when a certificate is given."""
    station = ocpp_station(parts, station_id)
    if body.signing_certificate is not None:
        return await _update_signed(parts, station, body)
    payload = {
        "location": body.location,
        "retrieveDate": ocpp_moment(body.retrieve_at),
        **_repeating(body),
    }
    answer = await send_call(parts, station, action="UpdateFirmware", payload=payload)
    return JobAnswer(**answer.model_dump())


@router.post("/stations/{station_id:path}/diagnostics", summary="Have diagnostics uploaded")
async def get_diagnostics(station_id: str, body: DiagnosticsBody, parts: PartsDep) -> JobAnswer:
    """GetDiagnostics."""
    payload = {
        "location": body.location,
        "startTime": ocpp_moment(body.since),
        "stopTime": ocpp_moment(body.until),
        **_repeating(body),
    }
    station = ocpp_station(parts, station_id)
    answer = await send_call(parts, station, action="GetDiagnostics", payload=payload)
    return JobAnswer(**answer.model_dump())


@router.post("/stations/{station_id:path}/log", summary="Have a log uploaded")
async def get_log(station_id: str, body: LogBody, parts: PartsDep) -> JobAnswer:
    """GetLog of the security extension."""
    request_id = _request_id(body.request_id)
    log = {
        "remoteLocation": body.location,
        "oldestTimestamp": ocpp_moment(body.oldest),
        "latestTimestamp": ocpp_moment(body.newest),
    }
    payload = {
        "logType": body.type,
        "requestId": request_id,
        "log": {key: value for key, value in log.items() if value is not None},
        **_repeating(body),
    }
    station = ocpp_station(parts, station_id)
    answer = await send_call(parts, station, action="GetLog", payload=payload)
    return JobAnswer(**answer.model_dump(), request_id=request_id)


async def _update_signed(parts: Parts, station_id: str, body: FirmwareBody) -> JobAnswer:
    request_id = _request_id(body.request_id)
    firmware = {
        "location": body.location,
        "retrieveDateTime": ocpp_moment(body.retrieve_at),
        "installDateTime": ocpp_moment(body.install_at),
        "signingCertificate": body.signing_certificate,
        "signature": body.signature,
    }
    payload = {
        "requestId": request_id,
        "firmware": {key: value for key, value in firmware.items() if value is not None},
        **_repeating(body),
    }
    answer = await send_call(parts, station_id, action="SignedUpdateFirmware", payload=payload)
    return JobAnswer(**answer.model_dump(), request_id=request_id)


def _request_id(given: int | None) -> int:
    """Return the id that was asked for, or a new one: 31 bit and positive."""
    return secrets.randbelow(2**31 - 1) + 1 if given is None else given


def _repeating(body: Repeating) -> dict[str, Any]:
    return {"retries": body.retries, "retryInterval": body.retry_interval_s}


def ocpp_moment(moment: datetime | None) -> str | None:
    """Return a moment as OCPP wants it: UTC, whole seconds, ``Z``."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
