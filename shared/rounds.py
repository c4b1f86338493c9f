"""Work that costs a round trip however much goes along: what is asked for meanwhile goes together.

Nobody waits for others to come. The first to ask starts a round at once; who asks while that round
is under way is in the next one, with everybody else who did.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Round(Generic[T]):
    """Items that are worked off together, and how that ended."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Rounds(Generic[T]):
    """One round at a time; each item is in one round, in the order in which they were asked for."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[None]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._gathering: Round[T] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, *items: T) -> None:
        """Return when all items were worked off. Raises what that raised, for all of a round.

        More items than fit a round go in several, one after the other. Whoever is cancelled while
        it leads a round takes the others of that round along.
        """
        for start in range(0, len(items), self._most):
            await self._join(items[start : start + self._most])

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let the round that runs end, and no other begin, for a block."""
        async with self._turn:
            yield

    async def _join(self, items: Sequence[T]) -> None:
        gathering = self._gathering
        if gathering is not None and len(gathering.items) + len(items) <= self._most:
            gathering.items.extend(items)
            await asyncio.shield(gathering.over)
            return
        self._gathering = leading = Round[T]()
        leading.items.extend(items)
        await self._lead(leading)

    async def _lead(self, leading: Round[T]) -> None:
        try:
            async with self._turn:
                if self._gathering is leading:
                    self._gathering = None
                await self._work(leading.items)
        except asyncio.CancelledError:
            leading.over.cancel()
            raise
        except Exception as error:
            leading.over.set_exception(error)
            leading.over.exception()  # nobody else may be in this round
            raise
        else:
            leading.over.set_result(None)
        finally:
            if self._gathering is leading:  # cancelled before its turn
                self._gathering = None
