"""Who may come in: hashes of bearer tokens and of set-up codes, never the secrets themselves."""

from datetime import datetime

from sqlalchemy import delete, insert, select

from api.storage.tables import access_tokens, setup_codes
from shared.store import Database


class AccessStore:
    """The tables ``access_tokens`` and ``setup_codes``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_tokens(self) -> bool:
        """Tell whether anybody was let in before."""
        async with self._database.transaction() as connection:
            first = await connection.scalar(select(access_tokens.c.token_hash).limit(1))
        return first is not None

    async def knows_token(self, token_hash: str) -> bool:
        """Tell whether a token of this hash was issued."""
        wanted = select(access_tokens.c.token_hash).where(access_tokens.c.token_hash == token_hash)
        async with self._database.transaction() as connection:
            return await connection.scalar(wanted) is not None

    async def add_code(self, code_hash: str, *, expires_at: datetime, now: datetime) -> None:
        """Store a set-up code, and forget those that have expired."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(setup_codes).where(setup_codes.c.expires_at <= now))
            row = {"code_hash": code_hash, "expires_at": expires_at}
            await connection.execute(insert(setup_codes), row)

    async def exchange(self, code_hash: str, token_hash: str, *, now: datetime) -> bool:
        """Take a set-up code back for a token; False when there is no such code (any more).

        The deletion decides, so a code that is presented twice at once is exchanged once. Other
        open codes end with it.
        """
        fits = (setup_codes.c.code_hash == code_hash) & (setup_codes.c.expires_at > now)
        async with self._database.transaction() as connection:
            used = await connection.execute(delete(setup_codes).where(fits))
            if used.rowcount != 1:
                return False
            await connection.execute(delete(setup_codes))
            row = {"token_hash": token_hash, "created_at": now}
            await connection.execute(insert(access_tokens), row)
        return True
