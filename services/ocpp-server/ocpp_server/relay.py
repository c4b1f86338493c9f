"""Frames that a backend decides on: passed to the gateway, its answer awaited (S13 to S15)."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ocpp_server.postman import Postman
from shared.bus.port import Delivery
from shared.contracts.ocpp import AnswerFrame, FrameReceived, UplinkChanged
from shared.contracts.site import Evse

logger = logging.getLogger(__name__)


class Relay:
    """Frames on their way to backends, and who waits for an answer.

    Silence of the backend is answered by the caller, after ``backend_answer_timeout_s``; at once
    when the uplink is known to be down.
    """

    def __init__(self, postman: Postman) -> None:
        self._postman = postman
        self._online: dict[str, bool] = {}
        self._waiting: dict[str, asyncio.Future[AnswerFrame]] = {}

    async def heard_uplink(self, delivery: Delivery[UplinkChanged]) -> None:
        """Take note of a backend that came or went."""
        for evse_id in delivery.message.evse_ids:
            self._online[evse_id] = delivery.message.online

    def is_online(self, evse: Evse) -> bool:
        """The backend of an EVSE is connected, as far as is known."""
        return self._online.get(evse.id, False)

    def answered(self, answer: AnswerFrame) -> None:
        """Hand an answer to who waits for it; late ones are dropped."""
        waiting = self._waiting.get(answer.frame_id)
        if waiting is None or waiting.done():
            logger.debug("answer to frame %s is late", answer.frame_id)
            return
        waiting.set_result(answer)

    async def observe(self, frame: FrameReceived) -> None:
        """Let the backend have a copy. Returns when it is safe, or kept until it is."""
        await self._postman.publish(frame.station_id, frame)

    @contextmanager
    def expecting(self, frame_id: str) -> Iterator["asyncio.Future[AnswerFrame]"]:
        """Be ready for the answer to a frame before it is published."""
        answer: asyncio.Future[AnswerFrame] = asyncio.get_running_loop().create_future()
        self._waiting[frame_id] = answer
        try:
            yield answer
        finally:
            if self._waiting.get(frame_id) is answer:
                del self._waiting[frame_id]

    async def wait_for(
        self, answer: "asyncio.Future[AnswerFrame]", evse: Evse, *, timeout_s: float
    ) -> AnswerFrame | None:
        """Return the backend's answer; None when it is away or silent."""
        if not self.is_online(evse):
            return None
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            logger.info("backend of %s did not answer within %s s", evse.id, timeout_s)
            return None

    async def ask(
        self, frame: FrameReceived, evse: Evse, *, timeout_s: float
    ) -> AnswerFrame | None:
        """Pass a frame on and return the backend's answer; None when the caller has to decide."""
        with self.expecting(frame.frame_id) as answer:
            if not await self._postman.publish(frame.station_id, frame):
                return None
            return await self.wait_for(answer, evse, timeout_s=timeout_s)
