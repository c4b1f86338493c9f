"""TLS towards a backend (S20): which certificates count, and when its name must fit."""

import asyncio
import ssl
from urllib.parse import urlsplit

from shared.contracts.site import Backend
from shared.tls import client_context

PROBE_WITHIN_S = 10.0
_HOSTNAME_MISMATCH = 62
"""X509_V_ERR_HOSTNAME_MISMATCH"""
_IP_MISMATCH = 64
"""X509_V_ERR_IP_ADDRESS_MISMATCH"""


def first_context(backend: Backend) -> ssl.SSLContext | None:
    """Return the TLS context to try first; ``None`` for an unencrypted URL.

    Nothing trusted: no verification. Otherwise chain and name must fit.
    """
    if urlsplit(backend.url).scheme != "wss":
        return None
    return client_context(backend.trusted_certificates)


def is_name_mismatch(error: BaseException) -> bool:
    """The chain was right, only the name in the certificate is another one."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in {
        _HOSTNAME_MISMATCH,
        _IP_MISMATCH,
    }


async def pinned_context(backend: Backend) -> ssl.SSLContext | None:
    """Return a context that takes nothing but the very certificate that the operator stored.

    Whoever stores the backend's own certificate has verified more than its name. ``None`` when
    what the backend shows is not among the stored ones.
    """
    shown = await _shown_certificate(backend)
    for pem in backend.trusted_certificates:
        if ssl.PEM_cert_to_DER_cert(pem.strip()) == shown:
            context = client_context([pem])
            context.check_hostname = False
            return context
    return None


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
