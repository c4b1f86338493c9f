"""HTTP Basic as charge points really send it (OCPP-J 1.6 security extension, profile 1 and 2)."""

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import suppress

_HEX = re.compile(r"[0-9A-Fa-f]+")


def credentials(header: str | None, identity: str) -> tuple[str | None, bytes | None]:
    """Return (user, password) of an Authorization header; (None, None) without usable ones.

    An identity may contain a colon, so the user is the identity where the text begins with it
    (field notes 5.1, 4).
    """
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return None, None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None, None
    prefix = identity.encode() + b":"
    if decoded.startswith(prefix):
        return identity, decoded[len(prefix) :]
    user, colon, password = decoded.partition(b":")
    return user.decode(errors="replace"), password if colon else None


def password_forms(presented: bytes) -> Iterator[str]:
    """Yield the texts that a presented password may stand for.

    AuthorizationKey is set as a hex string, and stations then present either that text or the bytes
    it stands for (field notes 5.1, 4). Hex digits typed in capitals are the same.
    """
    with suppress(UnicodeDecodeError):
        text = presented.decode()
        yield text
        if text != text.lower() and _HEX.fullmatch(text):
            yield text.lower()
    yield presented.hex()
    yield presented.hex().upper()
