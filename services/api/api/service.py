"""Builds the parts of the api and runs them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from api.access import Access
from api.app import build_app
from api.certificates import Certificates
from api.configuration import Configuration
from api.deps import Parts
from api.event_stream import EventStream
from api.external_limits import ExternalLimits
from api.first_site import load_or_make_site
from api.live import LiveView
from api.message_feed import MessageFeed
from api.plans import Plans
from api.promotions import Promotions
from api.settings import ApiSettings
from api.storage.access import AccessStore
from api.storage.certificates import CertificateStore
from api.storage.external_limits import ExternalLimitStore
from api.storage.messages import MessageStore
from api.storage.meter_values import MeterValueStore
from api.storage.plans import PlanStore
from api.storage.refusals import RefusalStore
from api.storage.samples import SampleStore
from api.storage.sessions import SessionStore
from api.storage.sites import SiteStore
from api.storage.station_records import StationRecordStore
from api.workers import build_workers
from shared.bus.port import Bus
from shared.clock import Clock
from shared.contracts.site import SiteChanged, SiteConfig
from shared.health import Health
from shared.http import listening_socket, serve_http
from shared.store import Database, open_database

MIGRATIONS = Path(__file__).parent / "migrations"


async def run(settings: ApiSettings, bus: Bus, *, clock: Clock, health: Health) -> None:
    """Serve until cancelled."""
    health.report("http", ok=False, detail="starting")
    listener = listening_socket(settings.http_host, settings.http_port, setting="PARKADE_HTTP_PORT")
    try:
        async with _database(settings) as database:
            await _run(
                settings, bus, database=database, listener=listener, clock=clock, health=health
            )
    finally:
        listener.close()


@asynccontextmanager
async def _database(settings: ApiSettings) -> AsyncIterator[Database]:
    url = settings.database_url_for("api")
    database = await open_database(url, service="api", migrations=MIGRATIONS)
    try:
        yield database
    finally:
        await database.close()


async def _run(
    settings: ApiSettings,
    bus: Bus,
    *,
    database: Database,
    listener: socket.socket,
    clock: Clock,
    health: Health,
) -> None:
    def in_force(new: SiteConfig) -> None:
        health.report("site", ok=True, detail=f"revision {new.revision}")

    parts = await build_parts(settings, bus, database=database, clock=clock)
    parts.configuration.on_change(in_force)
    workers = build_workers(settings, parts, RefusalStore(database))
    changes = await bus.listen([SiteChanged], parts.configuration.heard)
    port = listener.getsockname()[1]
    try:
        async with asyncio.TaskGroup() as group:
            await workers.open()
            workers.start(group)
            group.create_task(parts.configuration.watch(health))
            group.create_task(serve_http(build_app(parts, health), listener))
            await parts.access.print_setup_link(settings.http_host, port)
            in_force(parts.configuration.current)
            health.report("http", ok=True, detail=f"port {port}")
    finally:
        await changes.close()
        await workers.close()


async def build_parts(
    settings: ApiSettings, bus: Bus, *, database: Database, clock: Clock
) -> Parts:
    """Return what routes work with, over one database and one bus."""
    store = SiteStore(database)
    first = await load_or_make_site(store, settings.site_file, clock=clock)
    configuration = Configuration(store, bus, clock=clock, first=first)
    return Parts(
        bus=bus,
        clock=clock,
        configuration=configuration,
        promotions=Promotions(bus, configuration),
        live=LiveView(first),
        stream=EventStream(),
        sessions=SessionStore(database),
        samples=SampleStore(database),
        messages=MessageStore(database),
        meter_values=MeterValueStore(database),
        message_feed=MessageFeed(bus),
        station_records=StationRecordStore(database),
        access=Access(AccessStore(database), admin_token=settings.admin_token, clock=clock),
        certificates=Certificates(CertificateStore(database), bus, clock=clock),
        external_limits=ExternalLimits(ExternalLimitStore(database), bus, clock=clock),
        plans=Plans(PlanStore(database), bus, clock=clock, site=first),
    )
