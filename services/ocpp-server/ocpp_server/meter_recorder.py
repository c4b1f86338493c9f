"""Keeps meter values: many of them in one message, answered to when that is safe.

The bus confirms a message in a millisecond or two however many values are in it, so what arrives
meanwhile travels together in the next one (facts/performance.md, 3 and 5).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ocpp_server.postman import Postman
from shared.contracts.session import MeterRow, MeterValuesRecorded
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

MOST_ROWS = 500
SENDER = "meter values"
"""Under this name batches wait in the outbox that the bus did not confirm."""


class Batch:
    """Values that become safe together. Implements ``Keeping``."""

    def __init__(self) -> None:
        self.rows: list[MeterRow] = []
        self._waiting: list[Callable[[bool], None]] = []
        self._outcome: bool | None = None

    def then(self, act: Callable[[bool], None]) -> None:
        """Call ``act`` when the batch is safe, or cannot be kept."""
        if self._outcome is None:
            self._waiting.append(act)
        else:
            act(self._outcome)

    def settle(self, kept: bool) -> None:
        """Tell everybody who waits."""
        self._outcome = kept
        for act in self._waiting:
            act(kept)
        self._waiting.clear()


class MeterRecorder:
    """Gathers values and publishes them, one batch at a time.

    Silence of the bus is the postman's business: he keeps a batch in the ledger. Only when that is
    away too are values not kept, and stations are told to send them again.
    """

    def __init__(self, postman: Postman, *, instance: str) -> None:
        self._postman = postman
        self._instance = instance
        self._batches = [Batch()]
        self._arrived = asyncio.Event()

    def record(self, rows: Sequence[MeterRow]) -> Batch:
        """Take values; returns the batch that they are in."""
        batch = self._batches[-1]
        if len(batch.rows) >= MOST_ROWS:
            batch = Batch()
            self._batches.append(batch)
        batch.rows.extend(rows)
        self._arrived.set()
        return batch

    async def run(self) -> None:
        """Keep what arrives, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(0)  # every socket that is ready gets its turn first
            while self._batches[0].rows:
                await self._keep(self._next_batch())

    def _next_batch(self) -> Batch:
        batch = self._batches.pop(0)
        if not self._batches:
            self._batches.append(Batch())
        return batch

    async def _keep(self, batch: Batch) -> None:
        event = MeterValuesRecorded.model_construct(instance=self._instance, rows=tuple(batch.rows))
        try:
            await self._postman.publish(SENDER, event)
        except StoreUnavailable as error:
            logger.warning("%s meter values cannot be kept: %s", len(batch.rows), error)
            batch.settle(kept=False)
        except Exception:
            logger.exception("%s meter values cannot be kept", len(batch.rows))
            batch.settle(kept=False)
        else:
            batch.settle(kept=True)
