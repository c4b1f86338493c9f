"""Identifiers: made here, and made safe for routing keys, file names and logs here."""

import hashlib
import hmac
import secrets
import uuid
from functools import lru_cache
from urllib.parse import quote

_PSEUDONYM_KEY = secrets.token_bytes(32)


def new_id() -> str:
    """Return a random identifier, unique for all practical purposes."""
    return uuid.uuid4().hex


@lru_cache(maxsize=20_000)
def routing_word(text: str) -> str:
    """Encode any text as one word of an AMQP routing key.

    Dots separate words and ``*``/``#`` are wildcards there, so none of them may survive.
    Words are kept below 150 bytes (AMQP allows 255 for the whole key); longer ones are hashed.
    """
    word = quote(text, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(word) <= 150:
        return word
    return word[:80] + "~" + hashlib.sha256(text.encode()).hexdigest()


def pseudonym(token: str) -> str:
    """Return a short name for an RFID tag that tells tags apart in a log and reveals none.

    The key lives as long as the process, so names cannot be compared between runs.
    """
    return "tag-" + hmac.new(_PSEUDONYM_KEY, token.encode(), hashlib.sha256).hexdigest()[:8]
