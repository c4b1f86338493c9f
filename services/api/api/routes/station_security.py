"""What makes a station's connection safer: a new password, a higher profile, a certificate."""

import asyncio
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from api.deps import Parts, PartsDep
from api.domain.problem import Problem
from api.domain.promotion import Settlement, missing_for_profile, settlement_of
from api.domain.station_live import StationLive
from api.problems import ApiProblem, not_found
from api.routes.ordering import send_call
from api.routes.stations import CallAnswer
from shared.contracts.ocpp import CallResult
from shared.contracts.site import Station
from shared.passwords import hash_key, hash_password, new_key

logger = logging.getLogger(__name__)
router = APIRouter(tags=["stations"])

Key = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){16,20}$")]
"""16 to 20 bytes as hex digits (OCPP 1.6 security, AuthorizationKey)."""


class NewPassword(BaseModel):
    """Without a password a random one is made, which nobody but the station ever sees."""

    model_config = ConfigDict(extra="forbid")

    password: Key | None = None


class NewProfile(BaseModel):
    """The OCPP security profile to use from now on."""

    model_config = ConfigDict(extra="forbid")

    profile: Annotated[int, Field(ge=1, le=3)]


class SecurityAnswer(BaseModel):
    """What became of it."""

    outcome: CallResult
    status: str | None = None
    """The station's own word."""
    in_force: bool = False
    """The new one counts, and the old one does not any more."""
    pending: bool = False
    """Both count until the station connects with the new one."""
    detail: str = ""


@router.post("/stations/{station_id:path}/password", summary="Give a station a new password")
async def change_password(
    station_id: str, parts: PartsDep, body: Annotated[NewPassword | None, Body()] = None
) -> SecurityAnswer:
    """Sends it as AuthorizationKey (A01). Once the station has taken it, the old one is refused."""
    station, _ = _connected_station(parts, station_id)
    key, new_hash = await _made(body.password if body else None)
    async with parts.promotions.turn_of(station.id):
        station, _ = _connected_station(parts, station_id)
        before = station.next_password_hash
        # Before the station knows it: it may come back with it sooner than it answers.
        await parts.promotions.change(station.id, {"next_password_hash": new_hash})
        answer = await _configure(parts, station.id, "AuthorizationKey", key)
        settlement = settlement_of(answer.outcome, _status(answer))
        await parts.promotions.settle_password(
            station.id, new_hash, settlement=settlement, before=before
        )
    logger.info("password of station %s: %s", station.id, settlement.value)
    return _answer(answer, settlement, in_force=settlement is Settlement.PROMOTE)


@router.post(
    "/stations/{station_id:path}/security-profile",
    summary="Have a station use a higher security profile",
)
async def change_profile(
    station_id: str,
    body: NewProfile,
    parts: PartsDep,
    reset: Annotated[bool, Query(description="Restart it (hard) when it has taken it")] = True,
) -> SecurityAnswer:
    """A05. In force when the station connects with it; lower ones are refused from then on."""
    station, live = _connected_station(parts, station_id)
    async with parts.promotions.turn_of(station.id):
        await _check_profile(parts, station, live, wanted=body.profile)
        before = station.next_security_profile
        await parts.promotions.change(station.id, {"next_security_profile": body.profile})
        answer = await _configure(parts, station.id, "SecurityProfile", str(body.profile))
        settlement = settlement_of(answer.outcome, _status(answer))
        if settlement is Settlement.DROP:
            await parts.promotions.change(station.id, {"next_security_profile": before})
    if settlement is Settlement.PROMOTE and reset:
        await send_call(parts, station.id, action="Reset", payload={"type": "Hard"})
    return _answer(answer, settlement, in_force=False)


@router.post(
    "/stations/{station_id:path}/client-certificate",
    summary="Have a station ask for a new client certificate",
)
async def renew_certificate(station_id: str, parts: PartsDep) -> CallAnswer:
    """Sends ExtendedTriggerMessage (A02); what follows is a job of the station."""
    station, _ = _connected_station(parts, station_id)
    payload = {"requestedMessage": "SignChargePointCertificate"}
    return await send_call(parts, station.id, action="ExtendedTriggerMessage", payload=payload)


def _connected_station(parts: Parts, station_id: str) -> tuple[Station, StationLive]:
    """Return a station that is configured, speaks OCPP and is here, or raise a problem."""
    station = parts.configuration.current.station(station_id)
    if station is None:
        raise not_found("station", station_id)
    if station.protocol != "ocpp":
        raise ApiProblem(409, f"station {station.id!r} speaks no OCPP: its own page sets it")
    live = parts.live.stations.live(station.id)
    if live is None or not live.online:
        raise ApiProblem(409, f"station {station.id!r} is not connected: nothing was changed")
    return station, live


async def _made(given: str | None) -> tuple[str, str]:
    """Return the key as it is sent, and its hash; one that a person has chosen needs Argon2."""
    if given is None:
        key = new_key()
        return key, hash_key(key)
    return given.lower(), await asyncio.to_thread(hash_password, given.lower())


async def _configure(parts: Parts, station_id: str, key: str, value: str) -> CallAnswer:
    payload = {"key": key, "value": value}
    return await send_call(parts, station_id, action="ChangeConfiguration", payload=payload)


async def _check_profile(parts: Parts, station: Station, live: StationLive, *, wanted: int) -> None:
    missing = missing_for_profile(
        wanted,
        station,
        present=live.security_profile,
        server=parts.configuration.current.ocpp_server,
        has_root=await _has_root(parts, station.id) if wanted >= 2 else None,
        has_certificate=await _can_have_certificate(parts, live) if wanted == 3 else None,
    )
    if missing:
        findings = [Problem("profile", sentence) for sentence in missing]
        raise ApiProblem(409, f"{station.id}: {missing[0]}", problems=findings)


async def _has_root(parts: Parts, station_id: str) -> bool | None:
    """Ask the station for its roots; ``None`` when it does not say."""
    answer = await send_call(
        parts,
        station_id,
        action="GetInstalledCertificateIds",
        payload={"certificateType": "CentralSystemRootCertificate"},
    )
    return {"Accepted": True, "NotFound": False}.get(_status(answer) or "")


async def _can_have_certificate(parts: Parts, live: StationLive) -> bool:
    if live.certificate_fingerprint is not None:
        return True
    return bool((await parts.certificates.answer()).station_trust)


def _status(answer: CallAnswer) -> str | None:
    payload: dict[str, Any] = answer.payload or {}
    status = payload.get("status")
    return status if isinstance(status, str) else None


def _answer(answer: CallAnswer, settlement: Settlement, *, in_force: bool) -> SecurityAnswer:
    details = {
        Settlement.PROMOTE: "" if in_force else "it counts when the station connects with it",
        Settlement.DROP: "the station did not take it, so everything is as it was",
        Settlement.KEEP_BOTH: "the station did not answer: old and new count until it connects "
        "with the new one",
    }
    return SecurityAnswer(
        outcome=answer.outcome,
        status=_status(answer),
        in_force=in_force,
        pending=settlement is not Settlement.DROP and not in_force,
        detail=answer.error_description or details[settlement],
    )
