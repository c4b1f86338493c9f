"""Passwords of stations: hashed, checked in constant time, never stored.

Two kinds of hash. What people type is weak, so it gets Argon2, slow on purpose. A key that we made
ourselves has 160 random bits, which nobody guesses however fast a guess is; it gets a keyed hash,
of which a garage that reconnects needs thousands at once (facts/performance.md, 6).
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

KEY_BYTES = 20
"""Length of a generated key; the longest AuthorizationKey there is (OCPP 1.6 security, 4.1)."""
REMEMBERED = 4096
_SALT_BYTES = 16
_KEY_SCHEME = "hmac-sha256"
_ARGON2_PREFIX = "$argon2"

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password that somebody typed, salt included."""
    return _hasher.hash(password)


def new_key() -> str:
    """Return a fresh random key: 20 bytes, as 40 lower-case hex digits."""
    return secrets.token_hex(KEY_BYTES)


def hash_key(key_text: str) -> str:
    """Return ``hmac-sha256$<salt hex>$<hex>`` of a generated key.

    Only for keys of ``new_key``: whatever a person has chosen can be guessed too fast.
    """
    salt = secrets.token_bytes(_SALT_BYTES)
    return f"{_KEY_SCHEME}${salt.hex()}${_keyed(salt, key_text)}"


def is_hash(text: str) -> bool:
    """Tell whether a text is a hash of either kind."""
    return text.startswith(_ARGON2_PREFIX) or _key_parts(text) is not None


def password_matches(stored: str, presented: str) -> bool:
    """Tell whether a password fits a hash of either kind. A damaged hash fits nothing.

    Argon2 takes some 30 ms by design, so recent answers are remembered: a garage that reconnects
    after a restart would otherwise wait for minutes.
    """
    parts = _key_parts(stored)
    if parts is not None:
        return _key_matches(parts, presented)
    known = _remembered.answer(stored, presented)
    if known is None:
        known = _argon2_matches(stored, presented)
        _remembered.add(stored, presented, known)
    return known


def known_password_matches(stored: str, presented: str) -> bool:
    """The same without slow work: an Argon2 password fits only if it was found to do so before."""
    parts = _key_parts(stored)
    if parts is not None:
        return _key_matches(parts, presented)
    return _remembered.answer(stored, presented) is True


def _argon2_matches(stored: str, presented: str) -> bool:
    try:
        return _hasher.verify(stored, presented)
    except (VerificationError, InvalidHashError):
        return False


def _keyed(salt: bytes, key_text: str) -> str:
    return hmac.new(salt, key_text.encode(), hashlib.sha256).hexdigest()


def _key_matches(parts: tuple[bytes, str], presented: str) -> bool:
    salt, expected = parts
    return hmac.compare_digest(_keyed(salt, presented), expected)


def _key_parts(stored: str) -> tuple[bytes, str] | None:
    """Return salt and digest of a key's hash; ``None`` when it is none."""
    scheme, _, rest = stored.partition("$")
    salt, _, digest = rest.partition("$")
    if scheme != _KEY_SCHEME or len(digest) != hashlib.sha256().digest_size * 2:
        return None
    try:
        bytes.fromhex(digest)
        return bytes.fromhex(salt), digest.lower()
    except ValueError:
        return None


class _Remembered:
    """Recent answers of Argon2, by a keyed digest, so that no password stays in memory."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._answers: OrderedDict[bytes, bool] = OrderedDict()
        self._lock = Lock()
        """Checks run in threads."""

    def answer(self, stored: str, presented: str) -> bool | None:
        """Return what was found before; ``None`` = it was not looked at."""
        digest = self._digest(stored, presented)
        with self._lock:
            known = self._answers.get(digest)
            if known is not None:
                self._answers.move_to_end(digest)
            return known

    def add(self, stored: str, presented: str, fits: bool) -> None:
        """Remember an answer; the one that was not asked for longest gives way."""
        digest = self._digest(stored, presented)
        with self._lock:
            self._answers[digest] = fits
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)

    def _digest(self, stored: str, presented: str) -> bytes:
        text = f"{stored}\x00{presented}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._secret, digest_size=16).digest()


_remembered = _Remembered()
