"""Reads the client certificate of a TLS connection; it has been verified by then (S21)."""

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from typing import TypedDict, cast


class CertificateFields(TypedDict, total=False):
    """The fields of ``Handshake`` that come from a certificate; empty when there is none."""

    certificate_name: str | None
    certificate_serial_name: str | None
    certificate_organisation: str | None
    certificate_fingerprint: str | None


def certificate_fields(transport: asyncio.BaseTransport | None) -> CertificateFields:
    """Return what the client's certificate says of it.

    A name that is given twice names nobody. Several organisations are joined by commas.
    """
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    if tls is None or der is None:
        return {}
    return CertificateFields(
        certificate_name=_only(_values(tls, "commonName")),
        certificate_serial_name=_only(_values(tls, "serialNumber")),
        certificate_organisation=", ".join(_values(tls, "organizationName")) or None,
        certificate_fingerprint=hashlib.sha256(der).hexdigest(),
    )


def _values(tls: ssl.SSLObject, attribute: str) -> list[str]:
    return [value for name, value in _subject(tls) if name == attribute]


def _subject(tls: ssl.SSLObject) -> Iterator[tuple[str, str]]:
    """The attributes of the subject, as OpenSSL reads them (UTF-8, S22)."""
    try:
        found = tls.getpeercert() or {}
    except (ValueError, ssl.SSLError):
        return  # odd extensions; its fingerprint still counts
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", found.get("subject", ()))
    for part in subject:
        yield from part


def _only(values: list[str]) -> str | None:
    return values[0] if len(values) == 1 else None
