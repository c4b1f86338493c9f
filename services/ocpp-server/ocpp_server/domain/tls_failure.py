"""Why TLS could not be made: OpenSSL's word for it, and what to change in the wallbox."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TlsFailure:
    """``alert`` is OpenSSL's reason in plain letters; ``advice`` a sentence for the installer."""

    alert: str
    advice: str


_ORIGINS = ("tlsv13 alert ", "tlsv1 alert ", "sslv3 alert ")
"""Written before an alert that the peer has sent."""
_UNTRUSTED = (
    "the wallbox does not accept the certificate of this server: store this certificate or its "
    "root in the wallbox, or import one here that is signed by a root it knows"
)
_BAD_CLIENT = (
    "the client certificate of the wallbox cannot be verified here: store it, or the root that "
    "signed it, among the certificates of stations"
)
_OLD_TLS = "the wallbox speaks only TLS older than 1.2, which is not safe: update its firmware"
_NO_CIPHER = (
    "the wallbox offers no cipher suite that this server can use: update its firmware, or import "
    "a server certificate of the other key type (RSA or EC) as well"
)
_ADVICE = {
    "unknown ca": _UNTRUSTED,
    "bad certificate": _UNTRUSTED,
    "certificate unknown": _UNTRUSTED,
    "unsupported certificate": _UNTRUSTED,
    "certificate revoked": _UNTRUSTED,
    "access denied": _UNTRUSTED,
    "certificate expired": (
        "for the wallbox the certificate of this server has expired: check the clock of the "
        "wallbox, and import a new certificate here if it is right"
    ),
    "certificate verify failed": _BAD_CLIENT,
    "certificate required": _BAD_CLIENT,
    "peer did not return a certificate": _BAD_CLIENT,
    "no shared cipher": _NO_CIPHER,
    "no suitable signature algorithm": _NO_CIPHER,
    "insufficient security": _NO_CIPHER,
    "handshake failure": _NO_CIPHER,
    "unsupported protocol": _OLD_TLS,
    "protocol version": _OLD_TLS,
    "version too low": _OLD_TLS,
    "unrecognized name": "the wallbox does not like the host name in its wss:// address",
    "unexpected eof while reading": (
        "the wallbox ended the connection in the middle of the TLS handshake, as most do when they "
        "do not trust the server: store the certificate of this server or its root in the wallbox"
    ),
}
_OTHER = "no TLS could be made: set the wallbox to ws:// if that is allowed here, or update it"


def explain(reason: str | None, verification: str = "") -> TlsFailure:
    """Explain OpenSSL's reason, e.g. ``TLSV1_ALERT_UNKNOWN_CA``.

    ``verification`` is what was wrong with a client certificate. No reason = the connection broke
    off during the handshake.
    """
    word = (reason or "UNEXPECTED_EOF_WHILE_READING").replace("_", " ").lower()
    for origin in _ORIGINS:
        word = word.removeprefix(origin)
    advice = _ADVICE.get(word, _OTHER)
    return TlsFailure(f"{word}: {verification}" if verification else word, advice)
