"""Whether a station's signing request may be signed (SignCertificate of the security extension)."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from api.domain.pem import PublicKey, UnusableCertificate, check_public_key, read_request
from shared.contracts.site import Station

LONGEST_REQUEST = 5_500
"""OCPP 1.6 security white paper: ``SignCertificate.csr`` is string[5500]."""
LONGEST_NAME = 64
"""X.520: upper bound of a common name and of an organisation."""


@dataclass(frozen=True, kw_only=True)
class StationRequest:
    """What is taken over from a good request. Extensions it asks for are none of its business."""

    common_name: str
    organisation: str
    public_key: PublicKey


def check_station_request(csr_pem: str, station: Station) -> StationRequest:
    """Return what to certify, or raise ``UnusableCertificate`` with a sentence for the operator.

    The request proves possession of its key, the key is long enough, and the common name is the
    station's: ``certificate_name`` if given, its id otherwise (white paper A00.FR.405: the common
    name is the serial number). Upper and lower case count as equal, as in ids (field notes 5.1, 3).
    """
    if len(csr_pem) > LONGEST_REQUEST:
        raise UnusableCertificate(
            f"the request has {len(csr_pem)} characters, OCPP allows {LONGEST_REQUEST}"
        )
    request = read_request(csr_pem)
    name = _only_common_name(request.subject)
    wanted = station.certificate_name or station.id
    if name.casefold() != wanted.casefold():
        raise UnusableCertificate(
            f"the request is for {name!r}, and station {station.id!r} is called {wanted!r}: set "
            f"its certificate_name to {name!r} if that is its serial number"
        )
    key = check_public_key(request.public_key(), of="request")
    return StationRequest(
        common_name=name, organisation=_organisation(request.subject), public_key=key
    )


def _only_common_name(subject: x509.Name) -> str:
    names = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or not 0 < len(names[0]) <= LONGEST_NAME:
        raise UnusableCertificate(
            f"the request must have one common name of 1 to {LONGEST_NAME} characters, it has: "
            f"{', '.join(names) or 'none'}"
        )
    return names[0]


def _organisation(subject: x509.Name) -> str:
    names = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return names[0] if names and len(names[0]) <= LONGEST_NAME else ""
