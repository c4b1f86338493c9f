"""``/certificates``: what is shown to stations and backends, trusted, and signed (S19 to S22)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter, Response
from fastapi.requests import Request
from fastapi.responses import JSONResponse

from api.authority import Purpose, Wish
from api.deps import Parts, PartsDep
from api.domain.certificate_chain import Use
from api.domain.certificate_service import evses_showing, ids_in_service
from api.domain.certificates import CertificateRecord, days_left, describe
from api.domain.pem import UnusableCertificate
from api.domain.problem import Problem
from api.problems import ApiProblem, not_found, problem_response
from api.routes.certificate_bodies import (
    AuthorityBody,
    CertificatesMade,
    CertificateView,
    ClientBody,
    ImportBody,
    RequestBody,
    ServerBody,
    SignedBody,
)
from shared.contracts.site import SiteConfig

PEM_TYPE = "application/x-pem-file"

router = APIRouter(tags=["certificates"])


@router.get("/certificates", summary="List certificates")
async def list_certificates(parts: PartsDep) -> list[CertificateView]:
    """Oldest first. Private keys are never shown."""
    records, _ = await parts.certificates.all()
    return await _views(parts, records)


@router.get(
    "/certificates/{certificate_id}.pem",
    summary="Download a certificate with its chain",
    response_class=Response,
    responses={200: {"content": {PEM_TYPE: {}}}},
)
async def download_certificate(certificate_id: str, parts: PartsDep) -> Response:
    """PEM without the key; as long as it waits for its certificate, the signing request."""
    record = await _found(parts, certificate_id)
    return Response(
        record.certificate_pem or record.request_pem or "",
        media_type=PEM_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{record.id}.pem"'},
    )


@router.get("/certificates/{certificate_id}", summary="Read one certificate")
async def read_certificate(certificate_id: str, parts: PartsDep) -> CertificateView:
    """What is in it, without the key."""
    record = await _found(parts, certificate_id)
    return (await _views(parts, [record]))[0]


@router.post("/certificates", summary="Import a certificate", status_code=201)
async def import_certificate(body: ImportBody, parts: PartsDep) -> CertificatesMade:
    """Server and client certificates and authorities come with their key (S19); what is trusted
    of stations comes without (S21)."""
    added = await parts.certificates.take_in(
        body.use,
        body.certificate,
        key=body.key.get_secret_value() if body.key else None,
        passphrase=body.passphrase.get_secret_value() if body.passphrase else None,
        name=body.name,
    )
    if not added:
        raise ApiProblem(409, f"this certificate is kept for use {body.use.value!r} already")
    return await _made(parts, added)


@router.post("/certificates/authority", summary="Make an own authority", status_code=201)
async def make_authority(body: AuthorityBody, parts: PartsDep) -> CertificatesMade:
    """It signs from now on, and stations with certificates of it are trusted (S22)."""
    added = await parts.certificates.make_authority(
        body.common_name,
        await _organisation(parts, body.organisation),
        key_type=body.key_type,
        days=body.days,
    )
    return await _made(parts, added)


@router.post("/certificates/server", summary="Make server certificates", status_code=201)
async def make_server_certificates(body: ServerBody, parts: PartsDep) -> CertificatesMade:
    """One of each key type, signed by the own authority; they are shown on the OCPP port."""
    wish = Wish(
        common_name=body.common_name or body.names[0],
        organisation=await _organisation(parts),
        names=body.names,
        purpose=Purpose.SERVER,
        days=body.days,
    )
    key_types = tuple(dict.fromkeys(body.key_types))
    name = body.name or wish.common_name
    added = await parts.certificates.make(Use.SERVER, wish, key_types=key_types, name=name)
    return await _made(parts, added)


@router.post("/certificates/client", summary="Make a client certificate", status_code=201)
async def make_client_certificate(body: ClientBody, parts: PartsDep) -> CertificatesMade:
    """Name its id as ``client_certificate`` in the backend of an EVSE (S21)."""
    wish = Wish(
        common_name=body.common_name,
        organisation=await _organisation(parts),
        purpose=Purpose.CLIENT,
        days=body.days,
    )
    added = await parts.certificates.make(
        Use.CLIENT, wish, key_types=[body.key_type], name=body.name
    )
    return await _made(parts, added)


@router.post("/certificates/csr", summary="Make a signing request", status_code=201)
async def make_request(body: RequestBody, parts: PartsDep) -> CertificatesMade:
    """For an authority elsewhere. Send its answer to ``/certificates/{id}/signed``."""
    wish = Wish(
        common_name=body.common_name,
        organisation=await _organisation(parts, body.organisation),
        names=body.names,
        purpose=Purpose(body.use.value),
        days=1,
    )
    name = body.name or body.common_name
    added = await parts.certificates.request(body.use, wish, key_type=body.key_type, name=name)
    return await _made(parts, added)


@router.post("/certificates/{certificate_id}/signed", summary="Complete a signing request")
async def complete_request(
    certificate_id: str, body: SignedBody, parts: PartsDep
) -> CertificateView:
    """The certificate must fit the key that is kept here."""
    record = await _found(parts, certificate_id)
    done = None
    if record.request_pem is not None:
        done = await parts.certificates.complete(record, body.certificate)
    if done is None:
        raise ApiProblem(409, f"certificate {certificate_id!r} waits for no signature")
    return (await _views(parts, [done]))[0]


@router.delete("/certificates/{certificate_id}", summary="Remove a certificate", status_code=204)
async def remove_certificate(certificate_id: str, parts: PartsDep) -> None:
    """With its key, for good. Refused while a backend is shown it."""
    site = await parts.configuration.refresh()
    users = evses_showing(site, certificate_id)
    if users:
        raise ApiProblem(
            409,
            f"certificate {certificate_id!r} is shown to the backend of EVSE {', '.join(users)}: "
            "name another there first",
            problems=[_use_by(evse_id) for evse_id in users],
        )
    if not await parts.certificates.remove(certificate_id):
        raise not_found("certificate", certificate_id)


async def unusable_certificate(_request: Request, error: Exception) -> JSONResponse:
    """Answer ``UnusableCertificate``, wherever it came up."""
    field = error.field if isinstance(error, UnusableCertificate) else ""
    status = 409 if field == "authority" else 422
    return problem_response(ApiProblem(status, str(error), problems=[Problem(field, str(error))]))


def _use_by(evse_id: str) -> Problem:
    return Problem(f"evses[{evse_id}].backend.client_certificate", "name another certificate")


async def _organisation(parts: Parts, given: str | None = None) -> str:
    if given is not None:
        return given
    return (await parts.configuration.refresh()).ocpp_server.cpo_name


async def _found(parts: Parts, certificate_id: str) -> CertificateRecord:
    record = await parts.certificates.get(certificate_id)
    if record is None:
        raise not_found("certificate", certificate_id)
    return record


async def _made(parts: Parts, added: Sequence[CertificateRecord]) -> CertificatesMade:
    return CertificatesMade(certificates=await _views(parts, added))


async def _views(parts: Parts, wanted: Sequence[CertificateRecord]) -> list[CertificateView]:
    site, now = await parts.configuration.refresh(), parts.clock.now()
    every, _ = await parts.certificates.all()

    def views() -> list[CertificateView]:
        in_service = ids_in_service(every, site, now)
        return [_view(one, site, one.id in in_service, now=now) for one in wanted]

    return await asyncio.to_thread(views)


def _view(
    record: CertificateRecord, site: SiteConfig, in_service: bool, *, now: datetime
) -> CertificateView:
    content = describe(record.certificate_pem) if record.certificate_pem else None
    return CertificateView(
        id=record.id,
        use=record.use,
        name=record.name,
        state=record.state(now),
        in_service=in_service,
        used_by=evses_showing(site, record.id),
        has_key=record.key_pem is not None,
        subject=content.subject if content else None,
        issuer=content.issuer if content else None,
        names=list(content.names) if content else [],
        key_type=content.key_type if content else None,
        fingerprint=record.fingerprint,
        not_before=record.not_before,
        not_after=record.not_after,
        days_left=days_left(record, now),
        created_at=record.created_at,
        request=record.request_pem,
    )
