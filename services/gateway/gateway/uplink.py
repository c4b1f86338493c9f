"""The connection of one charge point to its backend: come back, boot, tell what is new, stay alive.

What is told comes from the outbox, in order; what the backend calls goes to the ``Speaker``.
"""

import asyncio
import logging
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from gateway.backend_tls import ClientPairs, first_context, is_name_mismatch, pinned_context
from gateway.conversation import Answer, CallHandler, Conversation
from gateway.courier import Courier
from gateway.domain.frames import CallResult
from gateway.domain.payloads import from_text
from gateway.domain.roster import UplinkPlan
from shared.clock import Clock
from shared.contracts.ocpp import UplinkChanged
from shared.errors import ConfigError, DeviceUnreachable, StoreUnavailable
from shared.ids import new_id

logger = logging.getLogger(__name__)

SUBPROTOCOL = "ocpp1.6"
MAX_FRAME_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long an uplink waits for what, in seconds."""

    call_s: float = 30.0
    connect_s: float = 20.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    refused_pause_s: float = 5.0
    """Before a refused message is sent again; grows with every refusal."""
    ping_s: float = 30.0
    boot_again_s: float = 30.0
    """When a backend that does not accept a boot names no interval."""
    look_again_s: float = 5.0
    """How often the outbox is looked at when nobody rang: another instance may have filled it."""


class Speaker(Protocol):
    """The charge point that speaks through an uplink."""

    async def boot_text(self) -> str:
        """Return the payload of its BootNotification."""
        ...

    async def booted(self, interval_s: int) -> None:
        """Told that the backend has accepted the boot, and its heartbeat interval."""
        ...


class Uplink:
    """One charge point at one backend, connected as long as ``run`` runs.

    Silence: a backend that does not answer is left, and tried again after a pause that grows.
    """

    def __init__(
        self,
        plan: UplinkPlan,
        courier: Courier,
        *,
        handler: CallHandler,
        speaker: Speaker,
        patience: Patience,
        clock: Clock,
        pairs: ClientPairs,
        publish: Callable[[UplinkChanged], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._courier = courier
        self._handler = handler
        self._speaker = speaker
        self._patience = patience
        self._clock = clock
        self._pairs = pairs
        self._publish = publish
        self._conversation: Conversation | None = None
        self._pinned: Any = None
        self._pause_s = patience.first_pause_s
        self._changed_at = clock.now()
        self._detail = "not connected yet"
        self.is_online = False
        """Connected, and the backend has accepted the boot."""
        self.heartbeat_s = 300.0

    async def run(self) -> None:
        """Keep the charge point connected until cancelled."""
        while True:
            reason = await self._once()
            await self._went(online=False, detail=reason)
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            self._pause_s = min(self._pause_s * 2, self._patience.longest_pause_s)

    async def call(self, action: str, payload_text: str) -> Answer:
        """Call the backend now, past everything that waits.

        Raises ``DeviceUnreachable`` when it is away or does not answer in time.
        """
        if self._conversation is None or not self.is_online:
            raise DeviceUnreachable("the backend is away")
        return await self._conversation.call(
            action, payload_text, message_id=new_id(), timeout_s=self._patience.call_s
        )

    async def reconnect(self) -> None:
        """Close the connection; ``run`` opens another one, without a long pause."""
        self._pause_s = self._patience.first_pause_s
        if self._conversation is not None:
            await self._conversation.close()

    async def tell(self) -> None:
        """Publish how the connection is."""
        counts = await self._courier.counts()
        refused = f"; {counts.failed} messages refused" if counts.failed else ""
        await self._publish(
            UplinkChanged(
                uplink_id=self._plan.uplink_id,
                evse_ids=self._plan.evse_ids,
                online=self.is_online,
                changed_at=self._changed_at,
                detail=self._detail + refused,
                outbox=counts.waiting,
            )
        )

    async def tell_removed(self) -> None:
        """Publish that this charge point is no longer shown to its backend."""
        self.is_online, self._changed_at = False, self._clock.now()
        self._detail = "no longer configured"
        await self.tell()

    async def _once(self) -> str:
        """Connect and speak until that ends; return why it did."""
        reason = "closed"
        try:
            async with self._connected() as socket:
                await self._converse(socket)
        except* (OSError, TimeoutError, ValueError, WebSocketException) as group:
            reason = _text(group)
        except* (ConfigError, DeviceUnreachable, StoreUnavailable) as group:
            reason = _text(group)
        return reason

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        backend = self._plan.backend
        headers = {}
        if backend.password is not None:
            pair = f"{backend.client_id}:{backend.password}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        tls = self._pinned or first_context(backend, self._pairs)
        try:
            socket = await connect(
                self._plan.endpoint,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # Subprotocol is a str
                additional_headers=headers,
                ssl=tls,
                open_timeout=self._patience.connect_s,
                ping_interval=self._patience.ping_s,
                ping_timeout=self._patience.ping_s,
                close_timeout=2,
                max_size=MAX_FRAME_BYTES,
                proxy=None,
            )
        except OSError as error:
            self._pinned = None
            if is_name_mismatch(error):
                self._pinned = await pinned_context(backend, self._pairs)
            raise
        async with socket:
            yield socket

    async def _converse(self, socket: ClientConnection) -> None:
        conversation = Conversation(socket, self._handler)
        self._conversation = conversation
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(conversation.run())
                group.create_task(self._speak(conversation))
        finally:
            self._conversation = None
            self.is_online = False

    async def _speak(self, conversation: Conversation) -> None:
        await self._boot(conversation)
        self._pause_s = self._patience.first_pause_s
        await self._courier.start_over()
        await self._went(online=True, detail="accepted")
        while True:
            alive_until = self._clock.monotonic() + self.heartbeat_s
            while (left_s := alive_until - self._clock.monotonic()) > 0:
                if await self._courier.send_next(conversation):
                    alive_until = self._clock.monotonic() + self.heartbeat_s
                else:
                    await self._courier.rest(min(left_s, self._patience.look_again_s))
            await self._heartbeat(conversation)

    async def _boot(self, conversation: Conversation) -> None:
        """Boot until the backend accepts; until then nothing else is sent (OCPP 1.6, 4.2)."""
        while True:
            payload_text = await self._speaker.boot_text()
            answer = await conversation.call(
                "BootNotification",
                payload_text,
                message_id=new_id(),
                timeout_s=self._patience.call_s,
            )
            status, interval_s = _boot_answer(answer)
            if status == "Accepted":
                if interval_s > 0:
                    self.heartbeat_s = float(interval_s)
                await self._speaker.booted(int(self.heartbeat_s))
                return
            await self._went(online=False, detail=f"the backend answered the boot with {status}")
            await asyncio.sleep(interval_s if interval_s > 0 else self._patience.boot_again_s)

    async def _heartbeat(self, conversation: Conversation) -> None:
        await conversation.call(
            "Heartbeat", "{}", message_id=new_id(), timeout_s=self._patience.call_s
        )

    async def _went(self, *, online: bool, detail: str) -> None:
        if (online, detail) == (self.is_online, self._detail):
            return
        self.is_online, self._detail, self._changed_at = online, detail, self._clock.now()
        logger.info(
            "uplink %s %s: %s", self._plan.uplink_id, "online" if online else "offline", detail
        )
        await self.tell()


def _boot_answer(answer: Answer) -> tuple[str, int]:
    if not isinstance(answer, CallResult):
        return answer.code, 0
    told = from_text(answer.payload_text)
    interval = told.get("interval")
    return str(told.get("status")), interval if isinstance(interval, int) else 0


def _text(group: BaseException) -> str:
    """Return the first cause in a group, in words."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return f"{type(group).__name__}: {group}"[:200]
