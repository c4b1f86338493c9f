"""Parkade's sharing as an allocator of the ACN-Sim harness: translation, and nothing of its own.

It runs in the harness's environment, so it imports no more than numpy, pydantic and Parkade.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from loadmgr.domain.arrays import Bools, Floats, ranks
from loadmgr.domain.claims import Claims
from loadmgr.domain.fill import Members
from loadmgr.domain.policy import Stays, policy_of
from loadmgr.domain.prospect import KeptPlan, Prospect
from loadmgr.domain.share import Shares, share
from loadmgr.domain.turns import LONGEST_STEP_S, Turns
from shared.contracts.site import Sharing, SiteConfig

HALF_PLANES = 48
"""A circle of line currents as a polygon inside it; 0.2 % smaller (facts 3.2)."""
FINEST_A = 0.01
"""Minimum and step of an EVSE that takes any current."""
EQUAL_FIRST_KWH: float = SiteConfig.model_fields["equal_first_kwh"].default


class Snapshot(Protocol):
    """What the harness tells, one entry per station; energy in ampere periods."""

    t: int
    period_min: float
    station_ids: Sequence[str]
    A: Floats
    angle: Floats
    limit: Floats
    voltage: Floats
    grids: Sequence[Floats]
    continuous: Bools
    active: Bools
    arrival: Floats
    departure: Floats
    remaining: Floats
    delivered: Floats
    last_pilot: Floats
    session: Sequence[object]


class Garage:
    """What does not change: rows, minimum currents, steps."""

    def __init__(self, snap: Snapshot) -> None:
        self.top_a = np.array([grid[-1] for grid in snap.grids], dtype=float)
        self.min_a = np.array([FINEST_A if len(g) == 2 else g[1] for g in snap.grids])
        self.step_a = np.array([FINEST_A if len(g) == 2 else g[2] - g[1] for g in snap.grids])
        load, self.room = _half_planes(snap, self.top_a)
        row, evse = np.nonzero(load)
        self.members = Members(row=row, evse=evse, load=load[row, evse])

    def most_a(self, remaining: Floats) -> Floats:
        """Return the lowest pilot of the grid that serves what is left within the period."""
        served_a = np.ceil(remaining / self.step_a) * self.step_a
        return np.minimum(np.maximum(served_a, self.min_a), self.top_a)


def _half_planes(snap: Snapshot, top_a: Floats) -> tuple[Floats, Floats]:
    """Return loads and room of rows that may bind; those of another row's shadow are dropped."""
    turn = 2 * np.pi * np.arange(HALF_PLANES) / HALF_PLANES
    if not np.any(snap.angle):
        turn = np.zeros(1)
    angle = np.deg2rad(snap.angle)
    load = np.concatenate([np.maximum(snap.A * np.cos(angle - one), 0.0) for one in turn])
    room = np.tile(snap.limit, len(turn)) * (np.cos(np.pi / HALF_PLANES) if len(turn) > 1 else 1.0)
    binds = load @ top_a > room
    share_of_room = np.round(load[binds] / room[binds, np.newaxis], 9)
    _, first = np.unique(share_of_room, axis=0, return_index=True)
    share_of_room, room = share_of_room[first], room[binds][first]
    alone = [(share_of_room >= one - 1e-12).all(axis=1).sum() == 1 for one in share_of_room]
    return (share_of_room * room[:, np.newaxis])[alone], room[alone]


class Parkade:
    """One run: the rules of ``loadmgr.domain`` at each period."""

    def __init__(
        self,
        sharing: Sharing = Sharing.DEADLINE,
        *,
        plans_ahead: bool = True,
        equal_first_kwh: float = EQUAL_FIRST_KWH,
    ) -> None:
        self._sharing, self._plans_ahead = sharing, plans_ahead
        self._equal_first_wh = 1_000 * equal_first_kwh
        self._kept = KeptPlan()
        self._garage: Garage | None = None
        self._turns: Turns | None = None
        self._session: list[object] = []
        self._before: Shares | None = None
        self._wanted: Bools = np.zeros(0, dtype=bool)

    def allocate(self, snap: Snapshot) -> Floats:
        """Return the pilot of every station, A."""
        if self._garage is None or self._turns is None:
            self._garage = Garage(snap)
            self._turns = Turns.of(snap.station_ids)
            self._session = [None] * len(snap.station_ids)
        garage, turns = self._garage, self._turns
        now_s = snap.t * snap.period_min * 60
        self._unplug(garage, turns, snap, now_s)
        claims = self._claims(garage, turns, snap, now_s)
        shares = share(claims, garage.members, garage.room)
        for passed_s in np.arange(0, snap.period_min * 60, LONGEST_STEP_S):
            _note(garage, turns, shares, wants=claims.wants, now_s=now_s + passed_s)
        self._before, self._wanted = shares, claims.wants
        return shares.amps

    def _unplug(self, garage: Garage, turns: Turns, snap: Snapshot, now_s: float) -> None:
        """Forget the turns of vehicles that are gone, and reckon those of the others until now."""
        stays = np.array([a == b for a, b in zip(snap.session, self._session, strict=True)])
        self._session = list(snap.session)
        if self._before is not None:
            before = Shares(
                amps=np.where(stays, self._before.amps, 0.0),
                row=self._before.row,
                deserved_a=self._before.deserved_a,
            )
            _note(garage, turns, before, wants=self._wanted & stays, now_s=now_s)

    def _claims(self, garage: Garage, turns: Turns, snap: Snapshot, now_s: float) -> Claims:
        most_a = np.where(snap.active, garage.most_a(snap.remaining), 0.0)
        stays = _stays(snap, most_a)
        weight, nobody = np.ones(len(most_a)), np.zeros(len(most_a), dtype=bool)
        policy = policy_of(self._sharing, stays, weight=weight)
        if self._sharing is Sharing.DEADLINE and self._plans_ahead:
            prospect = Prospect(members=garage.members, room=garage.room, kept=self._kept)
            policy = prospect.policy(policy, stays, chosen=snap.active, now_s=now_s)
        return Claims(
            wants=snap.active,
            is_idle=nobody,
            rank=np.zeros(len(most_a), dtype=np.intp),
            min_a=garage.min_a,
            most_a=most_a,
            cap_a=np.full(len(most_a), np.inf),
            step_a=garage.step_a,
            policy=policy,
            is_young=stays.delivered_wh < self._equal_first_wh,
            queue=(queue := np.argsort(stays.arrived_s, kind="stable")),
            place=ranks(queue),
            owed_s=turns.owed_s(garage.min_a, now_s),
            is_on=turns.is_on,
            must_stay_on=turns.must_stay_on(now_s),
            may_begin=turns.may_begin(now_s),
            present_a=snap.last_pilot,
        )


def _stays(snap: Snapshot, most_a: Floats) -> Stays:
    """Return periods as seconds, and ampere periods as Wh."""
    period_s = snap.period_min * 60
    delivered_wh = 1_000 * snap.delivered
    return Stays(
        arrived_s=snap.arrival * period_s,
        left_s=(snap.departure - snap.t) * period_s,
        wanted_wh=delivered_wh + snap.remaining * snap.voltage * snap.period_min / 60,
        delivered_wh=delivered_wh,
        most_a=most_a,
        volts=snap.voltage.astype(float),
    )


def _note(garage: Garage, turns: Turns, shares: Shares, *, wants: Bools, now_s: float) -> None:
    turns.note(
        wants=wants,
        deserved_a=shares.deserved_a,
        given_a=shares.amps,
        min_a=garage.min_a,
        now_s=now_s,
    )


def allocators() -> dict[str, Parkade]:
    """Return what the harness runs, by name."""
    return {"Parkade": Parkade(), "Parkade without a plan": Parkade(plans_ahead=False)}
