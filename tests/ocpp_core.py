"""The OCPP core without a socket: stations are fake links, the bus is in memory, time is ours."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from ocpp_server.announcer import Announcer
from ocpp_server.answers import Fault
from ocpp_server.authority import Authority
from ocpp_server.domain.handshake import Admission, Handshake
from ocpp_server.domain.site_view import SiteView
from ocpp_server.facilities import Facilities
from ocpp_server.ledger import Ledger
from ocpp_server.link import Receiver
from ocpp_server.message_log import MessageLog
from ocpp_server.meter_recorder import MeterRecorder
from ocpp_server.orders import Orders
from ocpp_server.postman import Postman
from ocpp_server.registry import Registry
from ocpp_server.relay import Relay
from ocpp_server.service import MIGRATIONS
from ocpp_server.v16.observed_calls import events_of_call
from ocpp_server.v16.routing import Router
from ocpp_server.v16.schemas import actions, request_validator, response_validator
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.clock import FakeClock
from shared.contracts.charging import SetpointApplied
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Address, Event
from shared.contracts.ocpp import FrameReceived, UplinkChanged
from shared.contracts.session import SessionEnded, SessionStarted, SignedValueReceived
from shared.contracts.site import (
    Backend,
    Circuit,
    Evse,
    PhaseLimits,
    SiteConfig,
    Station,
    Token,
    TokenStatus,
)
from shared.contracts.station import (
    LocalListChanged,
    ReservationChanged,
    SecurityEventReported,
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationJobChanged,
    StationRefused,
)
from shared.store import open_database
from tests.conditions import eventually

E = TypeVar("E", bound=Event)

HEARD = (
    EvseObserved,
    FrameReceived,
    LocalListChanged,
    ReservationChanged,
    SecurityEventReported,
    SessionEnded,
    SessionStarted,
    SetpointApplied,
    SignedValueReceived,
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationJobChanged,
    StationRefused,
)
BOOT = {"chargePointVendor": "Maker", "chargePointModel": "Box"}
BACKEND = Backend(url="wss://backend.example/", client_id="CP1")


def site_of(*evses: Evse, **changes: Any) -> SiteConfig:
    """Return a site with station CP1, one EVSE unless others are given, and three tokens."""
    found = evses or (evse(),)
    values: dict[str, Any] = {
        "revision": 1,
        "circuits": (Circuit(id="root", limit_a=PhaseLimits(L1=100, L2=100, L3=100)),),
        "stations": tuple(
            Station(id=name, protocol="ocpp") for name in sorted({e.station for e in found})
        ),
        "evses": found,
        "tokens": (
            Token(id="GOOD", parent="FAMILY"),
            Token(id="BLOCKED", status=TokenStatus.BLOCKED),
            Token(id="EXPIRED", status=TokenStatus.EXPIRED),
        ),
    }
    return SiteConfig(**(values | changes))


def evse(connector: int = 1, **changes: Any) -> Evse:
    """Return an EVSE ``bay-<connector>`` of station CP1."""
    values: dict[str, Any] = {
        "id": f"bay-{connector}",
        "station": "CP1",
        "connector": connector,
        "circuit": "root",
    }
    return Evse(**(values | changes))


class FakeStation:
    """The station's end of a link: remembers what it was called for, answers as told."""

    def __init__(self, station_id: str, *, known: bool = True) -> None:
        self.handshake = Handshake(
            path=f"/{station_id}", identity=station_id, peer="10.0.0.9:4711", tls=False
        )
        self.admission = Admission(station_id=station_id, subprotocol="ocpp1.6", known=known)
        self.receiver: Receiver | None = None
        self.closed: tuple[int, str] | None = None
        self.sent: list[str] = []
        """Every text that the server sent."""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        """What the server called for."""
        self.answers: dict[str, Any] = {}
        """Action -> payload, list of payloads in turn, or None to be silent.

        A function is asked with the payload of the call; a ``Fault`` becomes a CALLERROR.
        """
        self._ids = 0

    def send(self, text: str) -> None:
        """Take a text of the server."""
        self.sent.append(text)
        frame = json.loads(text)
        if frame[0] != 2:
            assert frame[0] == 4 or isinstance(frame[2], dict)
            return
        self.calls.append((frame[2], frame[3]))
        answer = self.answers.get(frame[2], {"status": "Accepted"})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(frame[3])
        if isinstance(answer, Fault):
            error = json.dumps([4, frame[1], answer.code, answer.description, {}])
            self._later(lambda: self.say(error))
        elif answer is not None:
            reply = answer if isinstance(answer, str) else json.dumps(answer)
            self._later(lambda: self.say(f"[3,{json.dumps(frame[1])},{reply}]"))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The server, or the test, ends the link."""
        if self.closed is None:
            self.closed = code, reason
            if self.receiver is not None:
                self.receiver.closed(code, reason)

    def say(self, text: str) -> None:
        """Send a text to the server."""
        assert self.receiver is not None
        self.receiver.received(text)

    async def call(self, action: str, payload: Any, *, message_id: str | None = None) -> Any:
        """Call the server; return the payload of its answer, or the code of its CALLERROR."""
        self._ids += 1
        wanted = message_id or f"s{self._ids}"
        before = len(self.sent)
        self.say(json.dumps([2, wanted, action, payload]))
        frame = await eventually(
            lambda: next((f for f in self.frames(before) if f[0] != 2 and f[1] == wanted), None),
            claim=f"{action} is answered",
        )
        if frame[0] == 3:
            problems = [e.message for e in response_validator(action).iter_errors(frame[2])]
            assert not problems, f"answer to {action} breaks the schema: {problems}"
        return frame[2]

    async def boot(self) -> Any:
        """Send a BootNotification and return its answer."""
        return await self.call("BootNotification", BOOT)

    async def was_called(self, action: str, *, times: int = 1) -> dict[str, Any]:
        """Return the payload of the n-th call of an action, once it is there; check its schema."""
        found: list[dict[str, Any]] = await eventually(
            lambda: self.payloads(action) if len(self.payloads(action)) >= times else None,
            claim=f"the station is called for {action} {times} times, got {self.calls}",
        )
        payload = found[times - 1]
        problems = [e.message for e in request_validator(action).iter_errors(payload)]
        assert not problems, f"{action} breaks the schema: {problems}"
        return payload

    def payloads(self, action: str) -> list[dict[str, Any]]:
        """Return the payloads of every call of an action."""
        return [payload for name, payload in self.calls if name == action]

    def frames(self, since: int = 0) -> list[Any]:
        """Return what the server sent, parsed."""
        return [json.loads(text) for text in self.sent[since:]]

    async def idle(self) -> None:
        """Wait until the server has nothing left to call for."""
        seen = -1
        while seen != len(self.calls):
            seen = len(self.calls)
            for _ in range(20):
                await asyncio.sleep(0)

    def _later(self, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(act)


class Core:
    """The running core, and what was heard of it."""

    def __init__(
        self,
        hub: MemoryBus,
        operator: Bus,
        facilities: Facilities,
        registry: Registry,
    ) -> None:
        self.hub = hub
        self.operator = operator
        self.facilities = facilities
        self.registry = registry
        assert isinstance(facilities.clock, FakeClock)
        self.clock = facilities.clock
        self.heard: list[Event] = []

    @property
    def ledger(self) -> Ledger:
        """The ledger of this core."""
        return self.facilities.ledger

    async def connect(self, station_id: str = "CP1") -> FakeStation:
        """Connect a station, and return when the core serves it."""
        station = FakeStation(station_id)
        before = len(self.events(StationConnected))
        station.receiver = self.registry.opened(station)
        await eventually(lambda: len(self.events(StationConnected)) > before)
        return station

    async def booted(self, station_id: str = "CP1") -> FakeStation:
        """Connect a station and boot it."""
        station = await self.connect(station_id)
        await station.boot()
        return station

    def events(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, oldest first."""
        return [event for event in self.heard if isinstance(event, kind)]

    async def event(self, kind: type[E], condition: Callable[[E], bool] = lambda _: True) -> E:
        """Return the newest event of a kind that fulfils a condition, once there is one."""

        def found() -> E | None:
            return next((e for e in reversed(self.events(kind)) if condition(e)), None)

        return await eventually(found, claim=f"a {kind.__name__} is published")

    async def newest(self, kind: type[E]) -> E:
        """Return the newest event of a kind, when everything that was told is out."""
        await self.facilities.announcer.flush()
        for _ in range(50):
            await asyncio.sleep(0)
        return await self.event(kind)

    async def uplink(self, *evse_ids: str, online: bool = True) -> None:
        """Let the backend of EVSEs come or go."""
        await self.facilities.relay.heard_uplink(
            Delivery(
                UplinkChanged(
                    uplink_id="u", evse_ids=evse_ids, online=online, changed_at=self.clock.now()
                ),
                None,  # type: ignore[arg-type]
            )
        )

    def later(self, seconds: float) -> None:
        """Let time pass, and the core look at the clock."""
        self.clock.advance(seconds)
        for station in self.registry.stations:
            self.registry.look_at_time(station)


@asynccontextmanager
async def running_core(site: SiteConfig, folder: Path) -> AsyncIterator[Core]:
    """Run the core for a site; its database is in ``folder``."""
    clock = FakeClock()
    hub = MemoryBus(clock, safe_within_s=0.2)
    bus, operator = hub.join("ocpp-server"), hub.join("operator")
    url = f"sqlite+aiosqlite:///{folder / 'ledger.sqlite3'}"
    database = await open_database(url, service="ocpp-server", migrations=MIGRATIONS)
    ledger = Ledger(database)
    postman = Postman(bus, ledger, clock=clock)
    facilities = Facilities(
        clock=clock,
        view=SiteView.of(site),
        ledger=ledger,
        announcer=Announcer(bus),
        postman=postman,
        relay=Relay(postman),
        log=MessageLog(
            bus,
            clock=clock,
            shows_id_tags=lambda: facilities.view.site.ocpp_server.log_id_tags,
        ),
        meter_values=MeterRecorder(postman, instance=bus.instance),
        authority=Authority(bus),
    )
    try:
        async with asyncio.TaskGroup() as group:
            core = await _start(group, facilities, bus=bus, operator=operator, hub=hub)
            announcing = group.create_task(facilities.announcer.run())
            recording = group.create_task(facilities.meter_values.run())
            yield core
            core.registry.close_all()
            await facilities.announcer.flush()
            announcing.cancel()
            recording.cancel()
    finally:
        await bus.close()
        await operator.close()
        await database.close()


async def _start(
    group: asyncio.TaskGroup, facilities: Facilities, *, bus: Bus, operator: Bus, hub: MemoryBus
) -> Core:
    async def on_evicted(address: Address, epoch: int) -> None:
        await registry.evicted(address, epoch)

    inbox = await bus.inbox(on_evicted)
    registry = Registry(facilities, inbox, group, handler_of=Router)
    orders = Orders(registry, facilities.relay, actions=actions(), events_of_call=events_of_call)
    orders.register(inbox)
    core = Core(hub, operator, facilities, registry)

    async def hear(delivery: Delivery[Any]) -> None:
        core.heard.append(delivery.message)

    await operator.listen(HEARD, hear)
    return core
