"""Who may use the api: who holds the admin token, or one that a set-up code was exchanged for."""

import hashlib
import hmac
import logging
import secrets
import sys
from datetime import timedelta

from pydantic import SecretStr

from api.storage.access import AccessStore
from shared.clock import Clock

logger = logging.getLogger(__name__)

CODE_VALID_FOR = timedelta(hours=24)
MOST_REMEMBERED = 1_000


def digest(secret: str) -> str:
    """Return what is stored of a secret. It is random and long, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Access:
    """Checks bearer tokens and exchanges set-up codes."""

    def __init__(self, store: AccessStore, *, admin_token: SecretStr | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._admin_hash = (
            None if admin_token is None else digest(admin_token.get_secret_value().strip())
        )
        self._good: set[str] = set()

    async def allows(self, token: str) -> bool:
        """Tell whether a bearer token is good."""
        presented = digest(token)
        if self._admin_hash is not None and hmac.compare_digest(presented, self._admin_hash):
            return True
        # Only hashes are compared, so how long it takes tells nothing about a token.
        if presented in self._good:
            return True
        if not await self._store.knows_token(presented):
            return False
        if len(self._good) < MOST_REMEMBERED:
            self._good.add(presented)
        return True

    async def needs_setup(self) -> bool:
        """Tell whether nobody can come in yet."""
        return self._admin_hash is None and not await self._store.has_tokens()

    async def exchange(self, code: str) -> str | None:
        """Return a new bearer token for a set-up code, once; nothing when the code is no good."""
        token = secrets.token_urlsafe(32)
        if await self._store.exchange(digest(code), digest(token), now=self._clock.now()):
            logger.info("set-up code exchanged for a bearer token")
            return token
        return None

    async def print_setup_link(self, host: str, port: int) -> None:
        """Print a one-time link, unless somebody can come in already.

        It goes to standard error and past the log, because logs are collected and kept.
        """
        if not await self.needs_setup():
            return
        code = secrets.token_urlsafe(32)
        now = self._clock.now()
        await self._store.add_code(digest(code), expires_at=now + CODE_VALID_FOR, now=now)
        shown = "localhost" if host in ("", "0.0.0.0", "::", "127.0.0.1") else host
        shown = f"[{shown}]" if ":" in shown else shown
        sys.stderr.write(
            f"parkade: set up access once, within 24 hours: http://{shown}:{port}/setup#code={code}\n"
        )
        sys.stderr.flush()
