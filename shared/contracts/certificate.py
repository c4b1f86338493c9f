"""Certificates and keys: kept by the api, used by those who make TLS (S18 to S22).

Private keys travel only in the answer to who asks for them, never in an event.
"""

from typing import ClassVar

from pydantic import Field

from shared.contracts.message import Contract, Event, Reply, Request


class KeyPair(Contract):
    """A certificate with its private key."""

    certificate_id: str
    certificate_pem: str
    """The certificate, then the chain up to the root, as far as it is known."""
    key_pem: str = Field(repr=False)
    """PKCS #8, not encrypted."""


class CertificatesChanged(Event):
    """Certificates were added or removed: ask for them."""

    topic: ClassVar[str] = "certificates.changed.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"

    owner: str = "certificates"
    revision: int


class CertificatesAnswer(Reply):
    """Everything that is needed to make TLS."""

    revision: int
    server: tuple[KeyPair, ...] = ()
    """For the OCPP port, one of each key type (RSA, EC); none = the self-signed ones (S18)."""
    client: tuple[KeyPair, ...] = ()
    """For backends that demand one (S21); named by ``Backend.client_certificate``."""
    station_trust: tuple[str, ...] = ()
    """PEM: client certificates of stations, or the roots that signed them (S21)."""


class GetCertificates(Request[CertificatesAnswer]):
    """Ask api for certificates and keys."""

    topic: ClassVar[str] = "certificates.get.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"
    reply: ClassVar[type[Reply]] = CertificatesAnswer

    owner: str = "certificates"


class SignedCertificate(Reply):
    """What became of a signing request."""

    chain_pem: str | None = None
    """The new certificate, then that of its authority; ``None`` = not signed."""
    refusal: str = ""
    """Why not, in a sentence for the operator."""


class SignStationCertificate(Request[SignedCertificate]):
    """Have the own authority sign a station's request (SignCertificate of the security extension).

    Refused unless the station is configured, its request proves possession of the key, the key is
    long enough, and the common name is that of the station.
    """

    topic: ClassVar[str] = "certificates.sign.v1"
    address_space: ClassVar[str] = "service"
    address_field: ClassVar[str] = "owner"
    reply: ClassVar[type[Reply]] = SignedCertificate

    owner: str = "certificates"
    station_id: str
    csr_pem: str
