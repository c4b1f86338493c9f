"""What is sent to and shown by ``/certificates``. No private key is in what is shown."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from api.authority import KeyType
from api.domain.certificate_chain import Use
from api.domain.certificates import State

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""X.520 bounds common names and organisations at 64 characters."""
OptionalName = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pem = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=1, le=36_500)]
HostNames = Annotated[tuple[str, ...], Field(max_length=100)]


class Body(BaseModel):
    """A request. An unknown field is a typing error, so it is refused."""

    model_config = ConfigDict(extra="forbid")


class ImportBody(Body):
    """A certificate from elsewhere (S19, S21)."""

    use: Use
    certificate: Pem
    """PEM: the certificate, with its chain in any order. For ``station_trust`` one or many."""
    key: SecretStr | None = None
    """PEM, protected or not. It may also be in the text of the certificate."""
    passphrase: SecretStr | None = None
    name: OptionalName = ""


class AuthorityBody(Body):
    """An own root to be made (S22)."""

    common_name: Name = "Parkade Root"
    organisation: OptionalName | None = None
    """``null`` = ``ocpp_server.cpo_name`` of the site."""
    key_type: KeyType = KeyType.RSA
    """RSA (3072 bits) unless told otherwise: also stations that know no EC can check it."""
    days: Days = 3650


class ServerBody(Body):
    """Certificates of the OCPP port to be made and signed by the own authority."""

    names: Annotated[HostNames, Field(min_length=1)]
    """Where stations find this server: DNS names, wildcards like ``*.garage.example``, addresses.
    """
    common_name: OptionalName = ""
    """Empty = the first name."""
    key_types: Annotated[tuple[KeyType, ...], Field(min_length=1)] = (KeyType.RSA, KeyType.EC)
    """Both, because stations of OCPP's profiles 2 and 3 know one or the other."""
    days: Days = 730
    name: OptionalName = ""


class ClientBody(Body):
    """A certificate to be shown to a backend, signed by the own authority (S21)."""

    name: Name
    common_name: Name
    key_type: KeyType = KeyType.EC
    days: Days = 730


class RequestBody(Body):
    """A signing request for another authority to be made; its key stays here (S22)."""

    use: Literal[Use.SERVER, Use.CLIENT] = Use.SERVER
    common_name: Name
    organisation: OptionalName | None = None
    """``null`` = ``ocpp_server.cpo_name`` of the site."""
    names: HostNames = ()
    key_type: KeyType = KeyType.RSA
    name: OptionalName = ""


class SignedBody(Body):
    """The answer of the other authority."""

    certificate: Pem
    """PEM: the certificate, with its chain in any order."""


class CertificateView(BaseModel):
    """A certificate without its key; null = not known before it is signed."""

    id: str
    use: Use
    name: str
    state: State
    in_service: bool
    """Shown, trusted or signing now. Of several server certificates the newest of each key type."""
    used_by: list[str]
    """EVSEs whose backend is shown it."""
    has_key: bool
    subject: str | None = None
    issuer: str | None = None
    names: list[str] = []
    key_type: str | None = None
    fingerprint: str | None = None
    """SHA-256, as ``certificate_fingerprint`` of a station."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    days_left: int | None = None
    created_at: datetime
    request: str | None = None
    """PEM of the signing request, as long as it waits for its certificate."""


class CertificatesMade(BaseModel):
    """What was added."""

    certificates: list[CertificateView]
