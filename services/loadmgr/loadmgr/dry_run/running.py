"""The front door of dry runs: a site, its vehicles and its other consumers in, a report out."""

from collections.abc import Iterable
from datetime import datetime

from loadmgr.domain.site_model import compile_site
from loadmgr.dry_run.base_load import NO_LOAD, BaseLoad
from loadmgr.dry_run.control import LoadManagement
from loadmgr.dry_run.report import report_of
from loadmgr.dry_run.visits import Visit
from loadmgr.dry_run.world import Conditions, World
from shared.contracts.charging import LimitChanged
from shared.contracts.dry_run import DryRunReport
from shared.contracts.site import SiteConfig
from shared.errors import ConfigError

DAY_S = 86_400.0
STEPS_S = (1.0, 60.0)
"""The shortest and the longest step. A longer one would let meters and boxes seem silent."""


def run(
    site: SiteConfig,
    visits: Iterable[Visit],
    *,
    begins: datetime,
    days: float = 1,
    base_load: BaseLoad = NO_LOAD,
    step_s: float = 10.0,
    limits: Iterable[tuple[float, LimitChanged]] = (),
) -> DryRunReport:
    """Charge the visits at the site with the real decision, and tell what came of it.

    ``begins`` is the second 0 of visits and base load; it must have a time zone. Visits that
    arrive within ``days`` count, and the run goes on until the last of them has left (a day more
    at most). A visit at an EVSE that the site does not have counts as one that got nothing.
    ``limits`` are those from outside (grid operator, REST), each with the second in which it is
    told; one that has no end holds until the next word of its source.
    The decision is taken at once where somebody may have to give something up, and at least every
    ``step_s`` (1 to 60 s); 1 s is for questions of safety, 5 to 15 s for whole days.
    Deterministic: the same input gives the same report.

    Raises ``ConfigError`` when visits overlap, ``begins`` has no zone, or the site is not sound.
    """
    if begins.tzinfo is None:
        raise ConfigError("the begin of a dry run needs a time zone, such as 2026-03-01T00:00Z")
    if days <= 0:
        raise ConfigError(f"days is {days}: a dry run needs some time")
    if not STEPS_S[0] <= step_s <= STEPS_S[1]:
        raise ConfigError(f"step_s is {step_s}: choose 1 to 60 seconds")
    counted = [visit for visit in visits if visit.arrives_s < days * DAY_S and visit.leaves_s > 0]
    ends_s = max((visit.leaves_s for visit in counted), default=0.0)
    model = compile_site(site)
    world = World(
        model,
        counted,
        control=LoadManagement(model, begins.timestamp()),
        conditions=Conditions(
            begins=begins, step_s=step_s, base_load=base_load, limits=tuple(limits)
        ),
    )
    world.run_until(max(days * DAY_S, min(ends_s + 1.0, (days + 1) * DAY_S)))
    return report_of(world)
