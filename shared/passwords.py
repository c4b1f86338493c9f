"""Passwords that people type: hashed with Argon2, checked in constant time, never stored."""

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a password, salt included."""
    return _hasher.hash(password)


@lru_cache(maxsize=4096)
def _matches(stored: str, presented: str) -> bool:
    try:
        return _hasher.verify(stored, presented)
    except (VerificationError, InvalidHashError):
        return False


def password_matches(stored: str, presented: str) -> bool:
    """Tell whether a password fits a hash.

    A check takes some 30 ms by design, so recent answers are remembered: a garage that reconnects
    after a restart would otherwise wait for minutes.
    """
    return _matches(stored, presented)
