"""Certificate signing requests of stations, as far as they can be judged by their shape."""

import base64
import binascii
import re
from typing import TypeGuard

LONGEST_CHAIN = 10_000
"""Characters of ``certificateChain`` (security white paper, CertificateSigned.req)."""
LONGEST_REQUEST = 10_000
"""Characters; the paper allows 5,500, and a few more take no meaning away."""

_PEM = re.compile(
    r"\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)"
    r"-----END (NEW )?CERTIFICATE REQUEST-----\s*"
)
_FIRST_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL
)


def is_signing_request(text: object) -> TypeGuard[str]:
    """Tell whether a text has the shape of a PEM request: its armour, and DER in Base64 within.

    What the request says, and whether it proves possession of its key, is judged by the authority.
    """
    if not isinstance(text, str) or len(text) > LONGEST_REQUEST:
        return False
    found = _PEM.fullmatch(text)
    if found is None:
        return False
    try:
        der = base64.b64decode("".join(found.group(2).split()), validate=True)
    except binascii.Error:
        return False
    return der[:1] == b"\x30"  # an ASN.1 SEQUENCE


def leaf_of(chain_pem: str) -> str:
    """Return the first certificate of a chain."""
    found = _FIRST_CERTIFICATE.search(chain_pem)
    return chain_pem if found is None else found.group(0)


def refusal_of_length(chain_pem: str, limit: int) -> str | None:
    """Return why a chain is too long for a station, in a sentence; None when it is not.

    A chain cannot be split: it travels in one CertificateSigned.req, and the station's key
    ``CertificateSignedMaxChainSize`` says how many characters that may have.
    """
    if len(chain_pem) <= limit:
        return None
    return (
        f"the certificate has {len(chain_pem)} characters and the station takes {limit} "
        "(CertificateSignedMaxChainSize): let it make a shorter key, such as an elliptic one"
    )
