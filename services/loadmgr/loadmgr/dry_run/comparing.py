"""A changed site beside the present one, with the same vehicles and the same other consumers."""

from datetime import datetime

from loadmgr.dry_run.base_load import BaseLoad, simulated_load
from loadmgr.dry_run.recorded_load import refitted
from loadmgr.dry_run.recording import Recording
from loadmgr.dry_run.running import run
from loadmgr.dry_run.visits import simulated_visits
from shared.contracts.dry_run import DryRunAnswer
from shared.contracts.site import SiteConfig

STEP_S = 15.0
"""Meters, boxes and decisions of a dry run; events are decided on at once."""


def compared_as_recorded(
    changed: SiteConfig, present: SiteConfig, recording: Recording
) -> DryRunAnswer:
    """Compare with the vehicles of a recording. Raises ``ConfigError`` for a site not sound."""
    visits = [recorded.visit for recorded in recording.visits]
    reports = [
        run(
            site,
            visits,
            begins=recording.begins,
            days=recording.days,
            base_load=refitted(recording.base_load, recording.site, site),
            step_s=STEP_S,
        )
        for site in (changed, present)
    ]
    return DryRunAnswer(changed=reports[0], present=reports[1])


def compared_as_simulated(
    changed: SiteConfig, present: SiteConfig, *, begins: datetime, days: int, seed: int
) -> DryRunAnswer:
    """Compare with vehicles that are made up for the EVSEs of both. Raises ``ConfigError``."""
    own = simulated_visits(changed, begins=begins, days=days, seed=seed)
    kept = {evse.id for evse in changed.evses}
    others = simulated_visits(present, begins=begins, days=days, seed=seed)
    visits = own + tuple(visit for visit in others if visit.evse_id not in kept)
    load = _load_of_both(changed, present, begins=begins, days=days, seed=seed)
    reports = [
        run(
            site,
            visits,
            begins=begins,
            days=days,
            base_load=refitted(load, present if site is changed else changed, site),
            step_s=STEP_S,
        )
        for site in (changed, present)
    ]
    return DryRunAnswer(changed=reports[0], present=reports[1])


def _load_of_both(
    changed: SiteConfig, present: SiteConfig, *, begins: datetime, days: int, seed: int
) -> BaseLoad:
    """A circuit of both sites has the other consumers that it has at present."""
    new = simulated_load(changed, begins=begins, days=days, seed=seed)
    old = simulated_load(present, begins=begins, days=days, seed=seed)
    there = {circuit.id for circuit in present.circuits}
    added = {key: steps for key, steps in new.steps.items() if key not in there}
    return BaseLoad(steps={**added, **old.steps})
