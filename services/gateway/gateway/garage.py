"""Every charge point of the site at its backend, kept in step with the configuration."""

import asyncio
import logging

from gateway.backend_tls import ClientPairs
from gateway.domain.roster import PlannedConnector, UplinkPlan, plan_uplinks
from gateway.outbox import Outbox
from gateway.presence import Presence
from gateway.uplink import Patience
from shared.bus.port import Bus, Delivery
from shared.clock import Clock
from shared.contracts.charging import PermissionChanged
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.site import SiteConfig, TokenStatus
from shared.contracts.station import FactsRequested
from shared.errors import StoreUnavailable

logger = logging.getLogger(__name__)

REPEAT_PERMISSION_S = 15.0
REPEAT_UPLINK_S = 30.0


class Garage:
    """The charge points of the site. Only the active instance has any connected."""

    def __init__(
        self,
        outbox: Outbox,
        bus: Bus,
        *,
        patience: Patience,
        tick_s: float,
        clock: Clock,
        pairs: ClientPairs,
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._patience = patience
        self._tick_s = tick_s
        self._clock = clock
        self._pairs = pairs
        self._site = SiteConfig()
        self.plans: tuple[UplinkPlan, ...] = ()
        self._present: dict[str, tuple[Presence, asyncio.Task[None]]] = {}
        self._seen: dict[str, EvseObserved] = {}
        self._published: dict[str, tuple[bool, float | None, float]] = {}
        self._repeat = asyncio.Event()

    @property
    def online(self) -> int:
        """How many charge points are accepted by their backends now."""
        return sum(presence.uplink.is_online for presence, _ in self._present.values())

    def configure(self, site: SiteConfig) -> None:
        """Take over a site; ``be`` makes it so."""
        self._site = site
        self.plans = plan_uplinks(site)

    async def be(self, *, present: bool, group: asyncio.TaskGroup) -> None:
        """Have exactly the charge points of the site present, or none while standing by."""
        wanted = {plan.uplink_id: plan for plan in self.plans} if present else {}
        for uplink_id, (presence, task) in tuple(self._present.items()):
            if wanted.get(uplink_id) != presence.plan:
                del self._present[uplink_id]
                task.cancel()
                await asyncio.wait([task])
                if present and uplink_id not in wanted:
                    await presence.uplink.tell_removed()
        for uplink_id, plan in wanted.items():
            if uplink_id not in self._present:
                await self._appear(plan, group)
        self._repeat.set()  # tell the uplinks that are new

    async def observe(self, seen: EvseObserved) -> None:
        """Take in what is seen at an outlet."""
        self._seen[seen.evse_id] = seen
        for presence, _ in tuple(self._present.values()):
            if seen.evse_id in presence.plan.evse_ids:
                await presence.observe(seen)

    async def repeat_facts(self, _asked: Delivery[FactsRequested]) -> None:
        """Somebody wants to know everything again."""
        self._published.clear()
        self._repeat.set()

    async def tell_permissions(self) -> None:
        """Publish permissions on change, at once when asked, and at least every 15 s; for ever."""
        while True:
            await self._follow_transactions()
            for presence, _ in tuple(self._present.values()):
                for permission in presence.permissions():
                    await self._tell_permission(permission)
            await asyncio.sleep(self._tick_s)

    async def tell_uplinks(self) -> None:
        """Publish every uplink's state every 30 s, and at once when asked; for ever."""
        while True:
            try:
                for presence, _ in tuple(self._present.values()):
                    await presence.uplink.tell()
                async with asyncio.timeout(REPEAT_UPLINK_S):
                    await self._repeat.wait()
            except TimeoutError:
                continue
            except StoreUnavailable as error:
                logger.warning("outbox: %s", error)
                await asyncio.sleep(self._tick_s)
            self._repeat.clear()

    async def _follow_transactions(self) -> None:
        """While the outbox does not answer, what ran last still runs."""
        if not self._present:
            return
        try:
            transactions = await self._outbox.open_transactions()
        except StoreUnavailable as error:
            logger.warning("outbox: %s", error)
            return
        for presence, _ in tuple(self._present.values()):
            await presence.follow(transactions)

    async def _appear(self, plan: UplinkPlan, group: asyncio.TaskGroup) -> None:
        kept = await self._outbox.settings(plan.uplink_id)
        presence = Presence(
            plan,
            self._outbox,
            self._bus,
            kept=kept,
            policy=self._policy,
            patience=self._patience,
            clock=self._clock,
            pairs=self._pairs,
        )
        presence.restore(await self._outbox.open_transactions())
        self._present[plan.uplink_id] = presence, group.create_task(self._run(presence))
        for evse_id in plan.evse_ids:
            if evse_id in self._seen:
                await presence.observe(self._seen[evse_id])

    async def _run(self, presence: Presence) -> None:
        """Run one charge point; what breaks in it ends no other."""
        while True:
            try:
                await presence.run(self._tick_s)
            except Exception:
                logger.exception("charge point %s broke, starting again", presence.plan.uplink_id)
            await asyncio.sleep(self._patience.first_pause_s)

    def _policy(self, planned: PlannedConnector, token: str) -> bool:
        """While a backend is away: known accepted tokens, the outlet's own, or all if wished."""
        known = self._site.token(token)
        if known is not None:
            return known.status is TokenStatus.ACCEPTED
        return token == planned.evse.fixed_token or self._site.accept_unknown_tokens

    async def _tell_permission(self, permission: PermissionChanged) -> None:
        evse_id, now_s = permission.evse_id, self._clock.monotonic()
        before = self._published.get(evse_id)
        word = (permission.permitted, permission.limit_a)
        if before is not None and before[:2] == word and now_s - before[2] < REPEAT_PERMISSION_S:
            return
        self._published[evse_id] = (*word, now_s)
        event: Event = permission
        await self._bus.publish(event)
