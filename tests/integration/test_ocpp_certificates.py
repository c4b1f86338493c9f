"""The whole OCPP server: certificates of the api reach its port, and its events tell of them."""

import asyncio
import contextlib
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from ocpp_server import service
from ocpp_server.settings import OcppServerSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.contracts.certificate import (
    CertificatesAnswer,
    CertificatesChanged,
    GetCertificates,
    KeyPair,
)
from shared.contracts.message import Event, service_address
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig, Station
from shared.contracts.station import RefusalReason, StationConnected, StationRefused
from shared.health import Health
from shared.tls import client_context
from tests.conditions import eventually
from tests.integration.test_gateway_tls import Signed, certificate

ROOT = certificate("Tiefgarage Köln Root")
SERVER = certificate("parkade", by=ROOT)
BOX = certificate("SN-4711", by=ROOT)
STRANGER = certificate("SN-4711")
SITE = SiteConfig(
    revision=1,
    stations=(Station(id="CP1", protocol="ocpp", security_profile=3, certificate_name="SN-4711"),),
)


@dataclass
class World:
    """An OCPP server, and an api that answers only what it is told to."""

    bus: Bus
    health: Health = field(default_factory=Health)
    stored: CertificatesAnswer = field(default_factory=lambda: CertificatesAnswer(revision=0))
    heard: list[Event] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.health.reports["ocpp-server"].detail.removeprefix("port "))

    async def own(self, name: str, request: Any, answer: Any) -> None:
        async def nobody(_address: Any, _epoch: int) -> None:
            return None

        async def give(_: Any) -> Any:
            return answer()

        inbox = await self.bus.inbox(nobody)
        inbox.on(request, give)
        await inbox.own(service_address(name), 1)

    async def store(self, **changes: Any) -> None:
        """The operator stores certificates; the api is one that knows of them."""
        first = not self.stored.revision
        self.stored = CertificatesAnswer(revision=self.stored.revision + 1, **changes)
        if first:
            await self.own("certificates", GetCertificates, lambda: self.stored)
        await self.bus.publish(CertificatesChanged(revision=self.stored.revision))

    def events(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    def station(self, *, shows: Signed | None = None, trusts: Signed | None = None) -> connect:
        trusted = [] if trusts is None else [trusts.pem]
        context = client_context(trusted, None if shows is None else pair_of(shows))
        context.check_hostname = False
        return connect(
            f"wss://127.0.0.1:{self.port}/CP1",
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]  # Subprotocol is a str
            ssl=context,
            proxy=None,
        )


def pair_of(signed: Signed) -> KeyPair:
    return KeyPair(certificate_id="one", certificate_pem=signed.pem, key_pem=signed.secret)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(service, "CERTIFICATES_WITHIN_S", 0.05)
    hub = MemoryBus(services=frozenset({"ocpp-server"}))
    world = World(hub.join("api"))
    await world.own("site", GetSite, lambda: SiteAnswer(site=SITE))

    async def hear(delivery: Delivery[Any]) -> None:
        world.heard.append(delivery.message)

    await world.bus.listen([StationConnected, StationRefused], hear)
    async with running(hub.join("ocpp-server"), tmp_path, world.health):
        yield world
    await world.bus.close()


@asynccontextmanager
async def running(bus: Bus, folder: Path, health: Health) -> AsyncIterator[None]:
    settings = OcppServerSettings(
        _env_file=None, ocpp_host="127.0.0.1", ocpp_port=0, data_dir=folder
    )
    task = asyncio.create_task(service.run(settings, bus, health=health))
    try:
        await eventually(lambda: health.is_ready or task.done(), claim="the port is open")
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await bus.close()


async def test_with_an_api_that_knows_no_certificates_the_port_is_self_signed(
    world: World,
) -> None:
    with pytest.raises(InvalidStatus):  # TLS is made; the station must show a certificate
        await world.station().__aenter__()
    (refused,) = await eventually(lambda: world.events(StationRefused))
    assert (refused.reason, refused.tls) == (RefusalReason.CERTIFICATE, True)
    assert (refused.station_id, refused.path) == ("CP1", "/CP1")


async def test_a_bound_certificate_admits_with_profile_3_once_its_root_is_stored(
    world: World,
) -> None:
    await world.store(server=(pair_of(SERVER),), station_trust=(ROOT.pem,))

    async def admitted() -> ClientConnection | None:
        try:
            return await world.station(shows=BOX, trusts=ROOT)
        except (OSError, InvalidStatus):
            return None

    async with await eventually(admitted, every_s=0.1):
        (connected,) = await eventually(lambda: world.events(StationConnected))
    assert (connected.security_profile, connected.certificate_name) == (3, "SN-4711")
    der = ssl.PEM_cert_to_DER_cert(BOX.pem)
    assert connected.certificate_fingerprint == hashlib.sha256(der).hexdigest()


async def test_a_strangers_certificate_is_told_with_the_reason_of_tls(world: World) -> None:
    await world.store(station_trust=(ROOT.pem,))

    async def refused() -> Any:
        with contextlib.suppress(Exception):
            await world.station(shows=STRANGER).__aenter__()
        told = world.events(StationRefused)
        return next((event for event in told if event.reason is RefusalReason.TLS), None)

    event = await eventually(refused, every_s=0.1)
    assert event.tls_alert.startswith("certificate verify failed")
    assert "certificates of stations" in event.detail
    assert world.events(StationConnected) == []


async def test_tls_that_breaks_right_after_its_handshake_is_told(world: World) -> None:
    """As with boxes that look at the certificate only then, and answer with an alert."""
    _, writer = await asyncio.open_connection("127.0.0.1", world.port, ssl=client_context([]))
    wire = writer.get_extra_info("socket")
    os.write(wire.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))  # no record of this connection
    (refused,) = await eventually(lambda: world.events(StationRefused))
    writer.transport.abort()
    assert refused.reason is RefusalReason.TLS
    assert "bad record mac" in refused.tls_alert
