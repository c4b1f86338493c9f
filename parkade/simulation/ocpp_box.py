"""A simulated OCPP 1.6 JSON station with any number of connectors, for product, tests and demo.

Connects, boots, tells and obeys; a connector's own behaviour is in ``ocpp_connector``, the answers
to commands are in ``ocpp_commands``.
"""

import asyncio
import contextlib
import logging
import random
import ssl
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from parkade.simulation.ocmf import SigningMeter
from parkade.simulation.ocpp_commands import COMMANDS
from parkade.simulation.ocpp_connector import Connector
from parkade.simulation.ocpp_link import FrameListener, OcppLink, Payload
from parkade.simulation.ocpp_metering import timestamp
from parkade.simulation.ocpp_options import BoxOptions
from parkade.simulation.ocpp_outbox import Outbox
from parkade.simulation.ocpp_settings import Settings
from parkade.simulation.outlet import Outlet
from parkade.simulation.profile_stack import ProfileStack
from parkade.simulation.profiles import Limit
from parkade.simulation.world import World
from shared.clock import Clock
from shared.errors import DeviceUnreachable, Refused

logger = logging.getLogger(__name__)

FACTORY_OPTIONS = BoxOptions()
LONGEST_PAUSE_S = 60.0
WAITING_ERRANDS = 100
REMEMBERED_CALLS = 10_000
MAX_FRAME_BYTES = 8 * 1024 * 1024

Errand = Callable[[OcppLink], Awaitable[None]]
"""Something to do over the network, as soon as there is one."""


class OcppBox:
    """One station. ``run`` is its power switch: cancel it and the station is dark.

    Silence of the server: limits keep their durations, transactions go on and are reported later.
    ``allow`` gets the limit of the one outlet of a box that obeys Modbus, too (S25).
    """

    def __init__(
        self,
        world: World,
        outlets: Sequence[Outlet],
        *,
        identity: str,
        url: str,
        password: str | bytes | None = None,
        tls: ssl.SSLContext | None = None,
        options: BoxOptions = FACTORY_OPTIONS,
        allow: Callable[[Limit], None] | None = None,
    ) -> None:
        self.identity = identity
        self.options = options
        self.clock: Clock = world.clock
        self.settings = Settings(len(outlets), extra=dict(options.settings))
        self.outbox = Outbox(self.settings)
        self.profiles = ProfileStack(max(outlet.max_a for outlet in outlets))
        self.meter = SigningMeter() if options.has_signing_meter else None
        self.connectors = [
            Connector(self, outlet, number=number, allow=allow)
            for number, outlet in enumerate(outlets, 1)
        ]
        self.received: deque[tuple[str, Payload]] = deque(maxlen=REMEMBERED_CALLS)
        """Every call of the server, in order."""
        self.boot_status: str | None = None
        self.last_error = ""
        """Why it is not connected."""
        self.boots = 0
        self.password = password
        self.boot_now = asyncio.Event()
        """Set by TriggerMessage: do not wait for the interval."""
        self._world = world
        self._url = url
        self._tls = tls
        self._listeners: list[FrameListener] = []
        self._link: OcppLink | None = None
        self._socket: ClientConnection | None = None
        self._network = asyncio.Event()
        self._network.set()
        self._errands: asyncio.Queue[Errand] = asyncio.Queue(WAITING_ERRANDS)
        self._known_tokens: set[str] = set()
        self._reported: dict[int, str] = {}
        self._status_changed = asyncio.Event()
        self._has_power_on = True
        self._reboots = False
        self._chance = random.Random(identity)  # noqa: S311 - jitter, not secrecy

    # --- what tests and the demo see and do ---

    @property
    def is_connected(self) -> bool:
        """Connected and accepted by the server."""
        return self._link is not None and self.boot_status == "Accepted"

    def connector(self, number: int) -> Connector:
        """Return connector 1..n."""
        return self.connectors[number - 1]

    def calls(self, action: str) -> list[Payload]:
        """Return the payloads of all calls of one action that the server sent."""
        return [payload for received, payload in self.received if received == action]

    def on_frame(self, listener: FrameListener) -> None:
        """Tell ``listener`` every frame, both ways."""
        self._listeners.append(listener)

    def go_offline(self) -> None:
        """Cut the network cable: no goodbye, no reconnect until ``go_online``."""
        self._network.clear()
        if self._socket is not None:
            self._socket.transport.abort()

    def go_online(self) -> None:
        """Mend the cable."""
        self._network.set()

    async def data_transfer(self, vendor: str, message: str, data: str) -> Payload:
        """Send DataTransfer, e.g. of a card terminal, and return the answer (S15)."""
        if self._link is None:
            raise DeviceUnreachable(f"{self.identity} is offline")
        payload = {"vendorId": vendor, "messageId": message, "data": data}
        return await self._link.call("DataTransfer", payload)

    # --- what connectors and commands need of their station ---

    def charging_connectors(self) -> int:
        """How many connectors have a transaction."""
        return sum(connector.transaction is not None for connector in self.connectors)

    def authorize(self, connector: Connector, token: str) -> None:
        """Ask the server about a token; without a server decide as configured (4.2, 3.5)."""
        if self.is_connected:
            self.post(lambda link: self._authorize(link, connector, token))
            return
        is_known = token.casefold() in self._known_tokens
        cached = is_known and self.settings.is_on("LocalAuthorizeOffline")
        if cached or self.settings.is_on("AllowOfflineTxForUnknownId"):
            connector.authorized(token)

    def post(self, errand: Errand) -> None:
        """Do something over the network soon; too many at once are dropped with a warning."""
        try:
            self._errands.put_nowait(errand)
        except asyncio.QueueFull:
            logger.warning("%s: too much to do, an errand is dropped", self.identity)

    def report_status_again(self, number: int) -> None:
        """Send StatusNotification of a connector (0 = the station) though nothing changed."""
        self._reported.pop(number, None)
        self._status_changed.set()

    def forget_tokens(self) -> None:
        """Empty the authorisation cache."""
        self._known_tokens.clear()

    def reset(self, reason: str) -> None:
        """End transactions, go dark, and boot again. Profiles stay, as in the field (S11)."""
        for connector in self.connectors:
            connector.stop(reason)
        if self.options.quirks.forgets_profiles_on_reset:
            self.profiles.clear()
        self._reboots = True
        self.reconnect()

    def reconnect(self) -> None:
        """Close the connection politely and open a new one."""
        self.post(lambda link: link.close())

    # --- life ---

    async def run(self) -> None:
        """Live until cancelled."""
        stop_stepping = self._world.on_step(self._step)
        pause_s = self.options.reconnect_s
        try:
            while True:
                await self._network.wait()
                if await self._connected_once():
                    pause_s = self.options.reconnect_s
                if self._reboots:
                    await asyncio.sleep(self.options.reboot_s)
                    self._reboots, self._has_power_on = False, True
                    continue
                await asyncio.sleep(pause_s * self._chance.uniform(0.8, 1.2))
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            stop_stepping()
            for connector in self.connectors:
                connector.go_dark()

    def _step(self, _dt_s: float) -> None:
        for connector in self.connectors:
            connector.step(self._world.now_s)
            if self._reported.get(connector.number) != connector.status:
                self._status_changed.set()

    async def _connected_once(self) -> bool:
        """Hold one connection as long as it lasts; tell whether it was accepted."""
        was_accepted = False
        try:
            async with self._open() as socket:
                self._socket = socket
                await self._serve(socket)
        except* (OSError, TimeoutError, WebSocketException, DeviceUnreachable) as errors:
            self.last_error = str(errors.exceptions[0])
            logger.info("%s is offline: %s", self.identity, self.last_error)
        finally:
            was_accepted = self.is_connected
            self._link = self._socket = None
        return was_accepted

    def _open(self) -> connect:
        quirks = self.options.quirks
        offered = [Subprotocol(name) for name in quirks.subprotocols]
        ping_s = self.settings.number("WebSocketPingInterval")
        return connect(
            f"{self._url.rstrip('/')}/{quote(self.identity, safe='')}",
            subprotocols=offered if quirks.offers_subprotocol else None,
            additional_headers=self._credentials(),
            ssl=self._tls,
            compression=None,
            proxy=None,
            open_timeout=10,
            close_timeout=1,
            ping_interval=ping_s or None,
            max_size=MAX_FRAME_BYTES,
            user_agent_header=f"{self.options.vendor}/{self.options.firmware}",
        )

    def _credentials(self) -> dict[str, str]:
        if self.password is None:
            return {}
        password = self.password if isinstance(self.password, bytes) else self.password.encode()
        pair = b64encode(self.identity.encode() + b":" + password).decode()
        return {"Authorization": f"Basic {pair}"}

    async def _serve(self, socket: ClientConnection) -> None:
        link = OcppLink(
            socket,
            self._answer,
            timeout_s=self.options.call_timeout_s,
            on_frame=self._frame_passed,
            numbers_as_text=self.options.quirks.sends_numbers_as_text,
        )
        self._link = link
        self.boot_status = None
        async with asyncio.TaskGroup() as group:
            group.create_task(link.run())
            group.create_task(self._run_errands(link))
            group.create_task(self._boot_and_tell(link))

    async def _boot_and_tell(self, link: OcppLink) -> None:
        if self._has_power_on or self.options.quirks.boots_on_reconnect:
            while not await self.boot(link):
                self.boot_now.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.number("HeartbeatInterval") or 10):
                        await self.boot_now.wait()
        self.boot_status, self._has_power_on = "Accepted", False
        logger.info("%s is connected and accepted", self.identity)
        self._reported.clear()
        self._status_changed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_heartbeats(link))
            group.create_task(self._send_statuses(link))
            group.create_task(self.outbox.send_all(link))

    async def boot(self, link: OcppLink) -> bool:
        """Send BootNotification and tell whether the server accepted it."""
        options = self.options
        answer = await link.call(
            "BootNotification",
            {
                "chargePointVendor": options.vendor,
                "chargePointModel": options.model,
                "chargePointSerialNumber": options.serial or self.identity[:25],
                "firmwareVersion": options.firmware,
            },
        )
        self.boots += 1
        self.boot_status = answer["status"]
        if answer.get("interval"):
            self.settings.change("HeartbeatInterval", str(answer["interval"]))
        return self.boot_status == "Accepted"

    async def _send_heartbeats(self, link: OcppLink) -> None:
        while True:
            await asyncio.sleep(self.settings.number("HeartbeatInterval") or 3_600)
            await link.call("Heartbeat", {})

    async def _send_statuses(self, link: OcppLink) -> None:
        while True:
            await self._status_changed.wait()
            self._status_changed.clear()
            if 0 not in self._reported:
                await self._send_status(link, 0, "Available")
            for connector in self.connectors:
                if self._reported.get(connector.number) != connector.status:
                    await self._send_status(link, connector.number, connector.status)

    async def _send_status(self, link: OcppLink, number: int, status: str) -> None:
        self._reported[number] = status
        logger.info("%s connector %s is %s", self.identity, number, status)
        payload: Payload = {
            "connectorId": number,
            "status": status,
            "errorCode": "NoError",
            "timestamp": timestamp(self.clock.now()),
        }
        if status == "Faulted":
            payload["errorCode"] = "OtherError"
            payload["info"] = (self.connector(number).outlet.fault or "")[:50]
        with contextlib.suppress(Refused):
            await link.call("StatusNotification", payload)

    async def _run_errands(self, link: OcppLink) -> None:
        while True:
            errand = await self._errands.get()
            try:
                await errand(link)
            except Refused as error:
                logger.warning("%s was refused: %s", self.identity, error)

    async def _authorize(self, link: OcppLink, connector: Connector, token: str) -> None:
        answer = await link.call("Authorize", {"idTag": token})
        if answer.get("idTagInfo", {}).get("status") == "Accepted":
            self._known_tokens.add(token.casefold())
            connector.authorized(token)

    async def _answer(self, action: str, payload: Payload) -> Payload:
        self.received.append((action, payload))
        command = COMMANDS.get(action)
        if command is None:
            raise Refused("NotImplemented")
        return command(self, payload)

    def _frame_passed(self, direction: str, text: str) -> None:
        logger.debug("%s %s %s", self.identity, direction, text)
        for listener in self._listeners:
            listener(direction, text)
