"""TLS towards a backend: which certificates count (S20), and which one it is shown (S21)."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import urlsplit

from shared.contracts.certificate import KeyPair
from shared.contracts.site import Backend
from shared.errors import ConfigError
from shared.tls import client_context
from shared.trust import certificate_blocks

ClientPairs = Callable[[str], KeyPair | None]
"""Certificate id -> the stored certificate with its key."""

PROBE_WITHIN_S = 10.0
_HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH"""
_IP_MISMATCH = 64
"""X509_V_ERR_IP_ADDRESS_MISMATCH"""


def first_context(backend: Backend, pairs: ClientPairs) -> ssl.SSLContext | None:
    """Return the TLS context to try first; ``None`` for an unencrypted URL.

    Nothing trusted: no verification. Otherwise chain and name must fit. Raises ``ConfigError`` when
    the certificate that the backend is to be shown is not stored, or cannot be used.
    """
    if urlsplit(backend.url).scheme != "wss":
        return None
    return client_context(backend.trusted_certificates, _own_pair(backend, pairs))


def is_name_mismatch(error: BaseException) -> bool:
    """The chain was right, only the name in the certificate is another one."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in {
        _HOSTNAME_MISMATCH,
        _IP_MISMATCH,
    }


async def pinned_context(backend: Backend, pairs: ClientPairs) -> ssl.SSLContext | None:
    """Return a context that takes nothing but the very certificate that the operator stored.

    Whoever stores the backend's own certificate has verified more than its name. ``None`` when
    what the backend shows is not among the stored ones.
    """
    shown = await _shown_certificate(backend)
    for pem in backend.trusted_certificates:
        for block in certificate_blocks(pem):
            if _der(block) == shown:
                context = client_context([block], _own_pair(backend, pairs))
                context.check_hostname = False
                return context
    return None


def _der(block: str) -> bytes:
    body = "".join(block.splitlines()[1:-1])
    return b64decode(body)


def _own_pair(backend: Backend, pairs: ClientPairs) -> KeyPair | None:
    """Nothing is shown instead of a certificate that is missing: the backend would refuse it."""
    wanted = backend.client_certificate
    pair = None if wanted is None else pairs(wanted)
    if wanted is not None and pair is None:
        raise ConfigError(f"the client certificate {wanted} of this backend is not stored here")
    return pair


async def _shown_certificate(backend: Backend) -> bytes | None:
    """Return what the backend shows; nothing is sent to it."""
    parts = urlsplit(backend.url)
    context = client_context(())
    async with asyncio.timeout(PROBE_WITHIN_S):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True)
    finally:
        writer.close()
