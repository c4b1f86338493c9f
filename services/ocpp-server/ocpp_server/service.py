"""Builds the parts of the OCPP server and runs them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ocpp_server.announcer import Announcer
from ocpp_server.authority import Authority
from ocpp_server.domain.site_view import SiteView
from ocpp_server.facilities import Facilities
from ocpp_server.ledger import Ledger
from ocpp_server.listener import open_listener
from ocpp_server.message_log import MessageLog
from ocpp_server.meter_recorder import MeterRecorder
from ocpp_server.orders import Orders
from ocpp_server.port_tls import PortTls
from ocpp_server.postman import Postman
from ocpp_server.registry import Registry
from ocpp_server.relay import Relay
from ocpp_server.settings import OcppServerSettings
from ocpp_server.v16.observed_calls import events_of_call
from ocpp_server.v16.routing import Router
from ocpp_server.v16.schemas import actions
from shared.bus.port import Bus, Delivery
from shared.certificate_client import CertificateClient
from shared.clock import SYSTEM_CLOCK, Clock
from shared.contracts.message import Address
from shared.contracts.ocpp import UplinkChanged
from shared.contracts.site import SiteConfig
from shared.contracts.station import FactsRequested
from shared.health import Health
from shared.server_certificate import ensure_server_certificates
from shared.site_client import SiteClient
from shared.store import open_database

logger = logging.getLogger(__name__)

PART = "ocpp-server"
MIGRATIONS = Path(__file__).parent / "migrations"
CERTIFICATES_WITHIN_S = 2.0
"""How long the port stays closed for stored certificates; it opens without them then."""
FAREWELL_S = 3.0
"""How long the last facts may take to go out when the service stops."""


async def run(
    settings: OcppServerSettings,
    bus: Bus,
    *,
    clock: Clock = SYSTEM_CLOCK,
    health: Health,
) -> None:
    """Serve stations until cancelled."""
    health.report(PART, ok=False, detail="waiting for the site")
    async with (
        SiteClient(bus) as site,
        CertificateClient(bus) as certificates,
        _ledger(settings) as ledger,
    ):
        first = await site.first()
        async with asyncio.TaskGroup() as group:
            facilities = _facilities(bus, ledger, first, clock)
            registry = await _registry(bus, facilities, group)
            site.on_change(registry.site_changed)
            registry.site_changed(site.current)  # it may have changed while we were building
            group.create_task(facilities.announcer.run())
            group.create_task(facilities.postman.run())
            group.create_task(facilities.meter_values.run())
            group.create_task(facilities.log.run())
            group.create_task(registry.run())
            facilities.announcer.tell(FactsRequested(asker=bus.instance))  # uplinks, above all
            try:
                await _listen(settings, registry, facilities, certificates, health)
            finally:
                await _say_farewell(registry, facilities.announcer)


@asynccontextmanager
async def _ledger(settings: OcppServerSettings) -> AsyncIterator[Ledger]:
    database = await open_database(
        settings.database_url_for("ocpp-server"), service="ocpp-server", migrations=MIGRATIONS
    )
    try:
        yield Ledger(database)
    finally:
        await database.close()


def _facilities(bus: Bus, ledger: Ledger, site: SiteConfig, clock: Clock) -> Facilities:
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
    return facilities


async def _registry(bus: Bus, facilities: Facilities, group: asyncio.TaskGroup) -> Registry:
    """Build the registry and let it hear orders, uplinks and questions."""

    async def on_evicted(address: Address, epoch: int) -> None:
        await registry.evicted(address, epoch)

    async def facts_requested(_delivery: Delivery[FactsRequested]) -> None:
        registry.announce_all()

    inbox = await bus.inbox(on_evicted)
    registry = Registry(facilities, inbox, group, handler_of=Router)
    orders = Orders(registry, facilities.relay, actions=actions(), events_of_call=events_of_call)
    orders.register(inbox)
    await bus.listen([UplinkChanged], facilities.relay.heard_uplink)
    await bus.listen([FactsRequested], facts_requested)
    return registry


async def _listen(
    settings: OcppServerSettings,
    registry: Registry,
    facilities: Facilities,
    certificates: CertificateClient,
    health: Health,
) -> None:
    """Keep the port open until cancelled."""
    if settings.ocpp_port is None:
        health.report(PART, ok=True, detail="no listener")
        await asyncio.Event().wait()
        return
    port_tls = await _port_tls(settings, certificates, facilities.clock)
    async with open_listener(
        settings.ocpp_host,
        settings.ocpp_port,
        front=registry.front,
        tls=lambda: facilities.view.site.ocpp_server.tls,
        context=lambda: port_tls.context,
        proxies=settings.proxy_networks,
    ) as listener:
        logger.info("stations connect to port %s", listener.port)
        health.report(PART, ok=True, detail=f"port {listener.port}")
        await port_tls.run()


async def _port_tls(
    settings: OcppServerSettings, certificates: CertificateClient, clock: Clock
) -> PortTls:
    """Make TLS with what is stored, or self-signed while nothing is (S18), and follow changes."""
    folder = settings.data_dir / "tls"
    port_tls = PortTls(ensure_server_certificates(folder, now=clock.now()))
    await certificates.first(within_s=CERTIFICATES_WITHIN_S)
    certificates.on_change(port_tls.take)
    await port_tls.use(certificates.current)
    return port_tls


async def _say_farewell(registry: Registry, announcer: Announcer) -> None:
    """Close every link, and tell so while the bus still listens."""
    registry.close_all()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await announcer.flush()
    except TimeoutError:
        logger.warning("the last facts did not go out in time")
