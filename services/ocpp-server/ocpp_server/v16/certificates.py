"""A new client certificate for a station: signed by the own authority, handed over by us."""

import logging
from collections.abc import Sequence

from ocpp_server.answers import StationReply
from ocpp_server.domain.signing_requests import LONGEST_CHAIN, leaf_of, refusal_of_length
from ocpp_server.station import Station
from shared.contracts.ocpp import CallResult
from shared.contracts.station import JobKind, StationJobChanged

logger = logging.getLogger(__name__)

_MAX_CHAIN_KEY = "CertificateSignedMaxChainSize"


async def renew_certificate(station: Station, csr_pem: str) -> None:
    """Have a request signed and send CertificateSigned.req; each step is told as a job's."""
    await _tell(station, "Requested", ordered=True)
    signed = await station.facilities.authority.sign(station.id, csr_pem)
    if signed.chain_pem is None:
        logger.warning("%s: certificate not signed: %s", station.id, signed.refusal)
        await _tell(station, "Refused", finished=True, detail=signed.refusal)
        return
    await _tell(station, "Signed")
    await _hand_over(station, signed.chain_pem)


async def _hand_over(station: Station, chain_pem: str) -> None:
    too_long = refusal_of_length(chain_pem, LONGEST_CHAIN)
    if too_long is not None:
        await _tell(station, "Refused", finished=True, detail=too_long)
        return
    reply = await _send(station, chain_pem)
    detail = ""
    if reply.status == "Rejected":
        detail = await _why_rejected(station, chain_pem)
        leaf = leaf_of(chain_pem)
        if detail and leaf != chain_pem:  # a leaf is what it has room for, if anything
            reply = await _send(station, leaf)
            detail = detail if reply.status == "Rejected" else "without the chain: no room for it"
    word = reply.status or reply.outcome.value.capitalize()
    await _tell(station, word, finished=True, detail=detail or (reply.error_description or ""))


async def _send(station: Station, chain_pem: str) -> StationReply:
    reply = await station.call("CertificateSigned", {"certificateChain": chain_pem})
    logger.info("%s: new certificate %s", station.id, reply.summary)
    return reply


async def _why_rejected(station: Station, chain_pem: str) -> str:
    """Ask what a station has room for, only when it has refused."""
    reply = await station.call("GetConfiguration", {"key": [_MAX_CHAIN_KEY]})
    entries = (reply.payload or {}).get("configurationKey")
    if reply.outcome is not CallResult.ANSWERED or not isinstance(entries, Sequence):
        return ""
    for entry in entries:
        value = str(entry.get("value", "")).strip() if isinstance(entry, dict) else ""
        if value.isascii() and value.isdigit():
            return refusal_of_length(chain_pem, int(value)) or ""
    return ""


async def _tell(
    station: Station,
    status: str,
    *,
    ordered: bool = False,
    finished: bool = False,
    detail: str = "",
) -> None:
    await station.facilities.postman.publish(
        station.id,
        StationJobChanged(
            station_id=station.id,
            kind=JobKind.CERTIFICATE,
            ordered=ordered,
            status=status,
            finished=finished,
            detail=detail,
            changed_at=station.facilities.clock.now(),
        ),
    )
