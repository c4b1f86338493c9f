"""Builds the gateway from its parts and runs them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.activity import Activity
from gateway.garage import Garage
from gateway.outbox import Outbox, open_outbox
from gateway.settings import GatewaySettings
from gateway.transparent import FrameIntake
from gateway.uplink import Patience
from shared.bus.port import Bus, Delivery
from shared.bus.topology import FRAMES_TO_GATEWAY, OBSERVATIONS_TO_GATEWAY
from shared.certificate_client import CertificateClient
from shared.clock import SYSTEM_CLOCK, Clock
from shared.contracts.evse import EvseObserved
from shared.contracts.ocpp import UplinkChanged
from shared.contracts.station import FactsRequested
from shared.errors import StoreUnavailable
from shared.health import Health
from shared.site_client import SiteClient

logger = logging.getLogger(__name__)

TICK_S = 1.0
RETRY_AFTER_S = 1.0
PRUNE_EVERY_S = 3_600.0
BETWEEN_STEPS_S = 0.02
FRAME_BATCH = 100
OBSERVATION_BATCH = 200


async def run(
    settings: GatewaySettings,
    bus: Bus,
    *,
    clock: Clock = SYSTEM_CLOCK,
    health: Health,
    patience: Patience | None = None,
    tick_s: float = TICK_S,
) -> None:
    """Speak for every EVSE that has a backend, until cancelled."""
    outbox = await open_outbox(settings.database_url_for("gateway"))
    try:
        health.report("outbox", ok=True)
        async with SiteClient(bus) as site, CertificateClient(bus) as certificates:
            garage = Garage(
                outbox,
                bus,
                patience=patience or Patience(call_s=settings.gateway_call_timeout_s),
                tick_s=tick_s,
                clock=clock,
                pairs=certificates.client_pair,
            )
            parts = _Parts(garage, outbox, site, Activity(bus, clock))
            await _run_parts(parts, bus, keep_days=settings.gateway_keep_days, health=health)
    finally:
        await outbox.close()


@dataclass(frozen=True)
class _Parts:
    garage: Garage
    outbox: Outbox
    site: SiteClient
    activity: Activity


async def _run_parts(parts: _Parts, bus: Bus, *, keep_days: int, health: Health) -> None:
    """Run the parts, and keep the charge points in step with site and activity."""
    changed = parts.activity.changed
    parts.site.on_change(lambda _: changed.set())
    health.report("site", ok=False, detail="not received yet")
    parts.garage.configure(await parts.site.first())
    health.report("site", ok=True)
    async with asyncio.TaskGroup() as group, _subscribed(parts, bus):
        group.create_task(parts.activity.run())
        group.create_task(parts.garage.tell_permissions())
        group.create_task(parts.garage.tell_uplinks())
        group.create_task(_prune(parts.outbox, parts.activity.clock, keep_days))
        while True:
            parts.garage.configure(parts.site.current)
            is_active = parts.activity.is_active
            try:
                await parts.garage.be(present=is_active, group=group)
            except StoreUnavailable as error:
                health.report("gateway", ok=False, detail=str(error))
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            health.report("gateway", ok=True, detail="active" if is_active else "standing by")
            await changed.wait()
            changed.clear()


@asynccontextmanager
async def _subscribed(parts: _Parts, bus: Bus) -> AsyncIterator[None]:
    garage, activity = parts.garage, parts.activity

    async def observed(deliveries: Sequence[Delivery[Any]]) -> None:
        await activity.heard_from_queue()
        for delivery in deliveries:
            if isinstance(delivery.message, EvseObserved):
                await garage.observe(delivery.message)

    intake = FrameIntake(parts.outbox, lambda: garage.plans)
    subscriptions = [
        await bus.listen([UplinkChanged], activity.heard_uplink),
        await bus.listen([FactsRequested], garage.repeat_facts),
        await bus.consume(FRAMES_TO_GATEWAY, intake.take, max_batch=FRAME_BATCH),
        await bus.consume(OBSERVATIONS_TO_GATEWAY, observed, max_batch=OBSERVATION_BATCH),
    ]
    try:
        yield
    finally:
        for subscription in subscriptions:
            await subscription.close()


async def _prune(outbox: Outbox, clock: Clock, keep_days: int) -> None:
    while True:
        try:
            before = clock.now() - timedelta(days=keep_days)
            while await outbox.prune(before=before):
                await asyncio.sleep(BETWEEN_STEPS_S)
        except StoreUnavailable as error:
            logger.warning("outbox: %s", error)
        await asyncio.sleep(PRUNE_EVERY_S)
