"""What load management is compared with: controllers as textbooks have them, without reservation.

Both know the same facts as load management: what boxes tell every second, and the grid meter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from loadmgr.domain.arrays import Floats
from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.site_model import SiteModel
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.units import MINIMUM_CHARGING_A, PHASES, PhaseAmps

CYCLE_S = 5.0
"""Facts 2.5."""
WINDOW_S = 30.0
"""Other consumers count with their maximum of this time; so long a car must leave current unused.
"""
CLEARLY_A, HEADROOM_A = 2.5, 2.0
DRAWING_A = 1.0
LEAST_RAISE_A = 0.5
"""Smaller raises are not worth a setpoint; whatever is lower is sent."""


@dataclass(slots=True)
class Seen:
    """What is known of one EVSE."""

    has_vehicle: bool = False
    plugged_s: float = 0.0
    line_a: tuple[float, float, float] = (0.0, 0.0, 0.0)
    used: tuple[bool, bool, bool] = (True, True, True)
    sent_a: float = 0.0
    sent_s: float = float("-inf")
    unused_s: float | None = None
    cap_a: float = float("inf")

    @property
    def drawn_a(self) -> float:
        """The highest line current."""
        return max(self.line_a)


class Known(NamedTuple):
    """The present as arrays, for those with a vehicle; rows are circuits by phase."""

    evses: list[EvseModel]
    usage: Floats
    """EVSEs x 3: 1.0 on each grid phase in use."""
    loads: Floats
    """Rows x EVSEs: 1.0 where one loads the other."""
    limit: Floats
    measured: Floats
    """What flows there: by the meter at the root, by the boxes elsewhere."""
    beside: Floats
    """What others draw there."""


class Textbook:
    """What both have in common: hearing, and sending what has changed."""

    def __init__(self, model: SiteModel) -> None:
        """Begin with nothing known."""
        self._model = model
        self._seen = {evse.config.id: Seen() for evse in model.evses}
        self._shown_a = np.zeros(3)
        self._beside: list[tuple[float, Floats]] = []
        self._decided_s = float("-inf")
        self._revision = 0

    def hear(self, event: Event, now_s: float) -> bool:
        """Take in what boxes and meter tell; only the cycle decides."""
        if isinstance(event, MeterSampled):
            self._shown_a = np.array(_amps(event.current_a))
        elif isinstance(event, EvseObserved):
            self._observe(self._seen[event.evse_id], event, now_s)
        return False

    def decide(self, now: datetime) -> Sequence[ApplySetpoint]:
        """Decide every few seconds."""
        now_s = now.timestamp()
        if now_s - self._decided_s < CYCLE_S:
            return ()
        self._decided_s = now_s
        known = self._known(now_s)
        offers = dict.fromkeys(self._seen, 0.0)
        amounts = np.floor(self.offers(known) * 10 + 1e-6) / 10
        offers.update({e.config.id: float(a) for e, a in zip(known.evses, amounts, strict=True)})
        return tuple(self._due(offers, now_s))

    def offers(self, known: Known) -> Floats:
        """Return what each is offered, per phase."""
        raise NotImplementedError

    def sent_a(self, known: Known) -> Floats:
        """Return what each was offered the last time."""
        return np.array([self._seen[evse.config.id].sent_a for evse in known.evses])

    def seen(self, known: Known, value: Callable[[Seen], float]) -> Floats:
        """Return something known of each."""
        return np.array([value(self._seen[evse.config.id]) for evse in known.evses])

    def _observe(self, seen: Seen, event: EvseObserved, now_s: float) -> None:
        has_vehicle = event.state is not None and event.state.has_vehicle
        if has_vehicle and not seen.has_vehicle:
            seen.plugged_s, seen.used = now_s, (True, True, True)
            seen.cap_a, seen.unused_s = float("inf"), None
        seen.has_vehicle = has_vehicle
        seen.line_a = _amps(event.current_a)
        if seen.drawn_a > DRAWING_A:
            first, second, third = (amps > DRAWING_A for amps in seen.line_a)
            seen.used = (first, second, third)
        self._judge_unused(seen, now_s)

    @staticmethod
    def _judge_unused(seen: Seen, now_s: float) -> None:
        if seen.drawn_a > seen.cap_a - 1.0:
            seen.cap_a = float("inf")
        if seen.drawn_a >= seen.sent_a - CLEARLY_A or not seen.has_vehicle:
            seen.unused_s = None
        elif seen.unused_s is None:
            seen.unused_s = now_s
        elif now_s >= seen.unused_s + WINDOW_S:
            seen.cap_a = max(MINIMUM_CHARGING_A, seen.drawn_a + HEADROOM_A)

    def _known(self, now_s: float) -> Known:
        evses = [e for e in self._model.evses if self._seen[e.config.id].has_vehicle]
        circuits = self._model.circuits
        usage = np.array([_on_grid(e, self._seen[e.config.id].used) for e in evses])
        drawn = np.array([_on_grid(e, self._seen[e.config.id].line_a) for e in evses])
        usage, drawn = usage.reshape(-1, 3).astype(float), drawn.reshape(-1, 3)
        is_below = np.array([[e in below for e in evses] for below in self._model.below])
        by_boxes = is_below @ drawn if evses else np.zeros((len(circuits), 3))
        beside = np.zeros_like(by_boxes)
        beside[0] = self._worst_beside(np.maximum(0.0, self._shown_a - by_boxes[0]), now_s)
        measured = by_boxes.copy()
        measured[0] = self._shown_a
        limit = np.array([[c.limit_a.on(p) - c.guard_a for p in PHASES] for c in circuits])
        loads = np.einsum("ce,ep->cpe", is_below.astype(float), usage) if evses else np.zeros((0,))
        return Known(
            evses,
            usage,
            loads.reshape(-1, len(evses)),
            limit.ravel(),
            measured.ravel(),
            beside.ravel(),
        )

    def _worst_beside(self, beside_a: Floats, now_s: float) -> Floats:
        self._beside = [(at_s, a) for at_s, a in self._beside if at_s >= now_s - WINDOW_S]
        self._beside.append((now_s, beside_a))
        return np.asarray(np.max([amps for _, amps in self._beside], axis=0), dtype=float)

    def _due(self, offers: dict[str, float], now_s: float) -> Iterator[ApplySetpoint]:
        self._revision += 1
        lease_s = self._model.site.lease_s
        for evse in self._model.evses:
            seen, limit_a = self._seen[evse.config.id], offers[evse.config.id]
            is_new = limit_a < seen.sent_a or limit_a >= seen.sent_a + LEAST_RAISE_A
            if not is_new and now_s - seen.sent_s < lease_s / 3:
                continue
            if is_new:
                seen.sent_a, seen.unused_s = limit_a, None
            seen.sent_s = now_s
            yield ApplySetpoint(
                station_id=evse.station_id,
                evse_id=evse.config.id,
                connector=evse.config.connector,
                revision=self._revision,
                limit_a=seen.sent_a,
                lease_s=lease_s,
                reason=Reason(code=ReasonCode.CIRCUIT),
            )


class FairShare(Textbook):
    """Equal shares of what the meter leaves, sent at once: who is raised waits for nobody."""

    def offers(self, known: Known) -> Floats:
        """Give the minimum in the order of plug-in, and fill up together."""
        room = known.limit - known.beside
        amps = np.zeros(len(known.evses))
        for index in np.argsort(self.seen(known, lambda seen: seen.plugged_s), kind="stable"):
            needed = MINIMUM_CHARGING_A * known.loads[:, index]
            if (needed <= room + 1e-9).all():
                amps[index] = MINIMUM_CHARGING_A
                room = room - needed
        most = np.minimum(
            [evse.config.max_a for evse in known.evses], self.seen(known, lambda seen: seen.cap_a)
        )
        return _filled(amps, most, known.loads, room)


class Clamp(Textbook):
    """Each box by itself: what it draws, and all that is left at the moment."""

    def offers(self, known: Known) -> Floats:
        """Offer everybody the whole room."""
        left = known.limit - known.measured
        room = np.where(known.loads > 0, left[:, None], np.inf).min(axis=0, initial=np.inf)
        amps = self.seen(known, lambda seen: seen.drawn_a) + room
        most = np.array([evse.config.max_a for evse in known.evses])
        return np.where(amps < MINIMUM_CHARGING_A, 0.0, np.minimum(amps, most))


def _filled(amps: Floats, most: Floats, loads: Floats, room: Floats) -> Floats:
    """Raise all who have something together, until a row or their own maximum stops each."""
    is_open = (amps > 0) & (amps < most)
    while is_open.any():
        rising = loads[:, is_open].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            by_row = np.where(rising > 0, np.maximum(room, 0.0) / rising, np.inf)
        raise_a = min(by_row.min(), (most - amps)[is_open].min())
        amps = amps + raise_a * is_open
        room = room - raise_a * rising
        is_full = (loads[(room <= 1e-9)] > 0).any(axis=0)
        is_open = is_open & (amps < most - 1e-9) & ~is_full
    return amps


def _on_grid(evse: EvseModel, lines: Sequence[float]) -> list[float]:
    on_grid = [0.0, 0.0, 0.0]
    for phase, value in zip(evse.grid_phase or (0, 1, 2), lines, strict=True):
        on_grid[phase] = float(value)
    return on_grid


def _amps(amps: PhaseAmps | None) -> tuple[float, float, float]:
    first, second, third = (0.0 if a is None else a for a in amps or PhaseAmps())
    return (first, second, third)
