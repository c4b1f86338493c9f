"""What came of a run, in figures."""

from collections.abc import Sequence

from loadmgr.dry_run.visits import Visit
from loadmgr.dry_run.world import World
from shared.contracts.dry_run import CircuitPeak, DryRunReport
from shared.units import PhaseAmps


def report_of(world: World) -> DryRunReport:
    """Return the report of a world whose visits are over."""
    got = [(stay.visit, stay.delivered_wh) for stay in world.stays]
    got += [(visit, 0.0) for visit in world.turned_away]
    shares = [share_of(visit, delivered_wh) for visit, delivered_wh in got]
    requested_wh = sum(visit.energy_wh for visit, _ in got)
    delivered_wh = sum(wh for _, wh in got)
    starts = sum(stay.starts for stay in world.stays)
    return DryRunReport(
        visits=len(got),
        requested_wh=requested_wh,
        delivered_wh=delivered_wh,
        delivered_share=delivered_wh / requested_wh if requested_wh > 0 else 1.0,
        jain=jain(shares),
        worst_share=min(shares, default=1.0),
        starts_per_visit=starts / len(got) if got else 0.0,
        setpoints=world.setpoints,
        circuits=_peaks(world),
    )


def share_of(visit: Visit, delivered_wh: float) -> float:
    """Return how much of what it wanted a vehicle got, 0..1; who wanted nothing got all."""
    return min(1.0, delivered_wh / visit.energy_wh) if visit.energy_wh > 0 else 1.0


def jain(shares: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 = all the same, 1/n = one has everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares > 0 else 1.0


def _peaks(world: World) -> tuple[CircuitPeak, ...]:
    fuses = world.fuses
    rows = zip(world.model.circuits, fuses.peak_a.tolist(), fuses.overload_s.tolist(), strict=True)
    return tuple(
        CircuitPeak(
            circuit_id=circuit.id,
            peak_a=PhaseAmps(l1=peak_a[0], l2=peak_a[1], l3=peak_a[2]),
            overload_s=overload_s,
        )
        for circuit, peak_a, overload_s in rows
    )
