"""A steady garage of any size: main > floor > strip of 10, and what its boxes say each second.

Cars draw what they are offered, up to what they want. A tenth of the boxes reports in each second,
and every meter does, because that is what a second of a real garage looks like.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from shared.contracts.charging import ApplySetpoint, SetpointApplied, SetpointOutcome
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.site import PhaseLimits, SiteConfig
from shared.units import PhaseAmps

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STRIP = 10
FLOOR = 100
REPORTS_EVERY_S = 10
PLUGGED = 0.8
SINGLE_PHASE = 0.3
ROTATIONS = (("L1", "L2", "L3"), ("L2", "L3", "L1"), ("L3", "L1", "L2"))
PHASE_INDEX = {"L1": 0, "L2": 1, "L3": 2}
ROOM_OF_FLOOR = 1.25
"""How much more than its part of the main fuse a floor has; a strip has more again."""
ROOM_OF_STRIP = 1.6
MOST_A = 10_000
"""The largest fuse that a site may have."""
BASE_A = 20.0
"""What other consumers draw at the main fuse, on each phase, in the middle."""


@dataclass(frozen=True, kw_only=True)
class Car:
    """What is plugged in, or nothing: then it wants 0 A."""

    phases: int
    wants_a: float


@dataclass(slots=True)
class Box:
    """One EVSE. Its car follows at the next second."""

    evse_id: str
    rotation: tuple[str, str, str]
    car: Car
    limit_a: float = 0.0

    @property
    def drawn_a(self) -> float:
        """What flows on each line in use."""
        return min(self.limit_a, self.car.wants_a)

    @property
    def state(self) -> EvseState:
        """The vehicle's state."""
        if self.car.wants_a <= 0:
            return EvseState.A
        return EvseState.C if self.limit_a > 0 else EvseState.B


class SteadyGarage:
    """The boxes and meters, and the site that describes them."""

    def __init__(self, evses: int, *, share: float, seed: int = 7) -> None:
        """Build ``evses`` boxes on fuses that carry ``share`` of what all cars want."""
        self.rng = Random(seed)
        self.share = share
        self.boxes = [self._box(number) for number in range(evses)]
        self.by_id = {box.evse_id: box for box in self.boxes}
        self._main_a = share * self._wanted_a(self.boxes) + BASE_A
        self.site = _with_main_fuse(SiteConfig.model_validate(self._site()), self._main_a)
        self.seconds = 0
        self._answers: list[SetpointApplied] = []

    @property
    def now(self) -> datetime:
        """The present moment."""
        return START + timedelta(seconds=self.seconds)

    @property
    def floors(self) -> int:
        """How many floors there are."""
        return math.ceil(len(self.boxes) / FLOOR)

    def take(self, setpoints: tuple[ApplySetpoint, ...]) -> None:
        """Apply setpoints at once; the boxes answer in the next second."""
        for setpoint in setpoints:
            self.by_id[setpoint.evse_id].limit_a = setpoint.limit_a
        self._answers = [
            SetpointApplied(
                evse_id=one.evse_id,
                station_id=one.station_id,
                revision=one.revision,
                limit_a=one.limit_a,
                outcome=SetpointOutcome.ACCEPTED,
                applied_at=self.now,
            )
            for one in setpoints
        ]

    def everybody(self) -> Iterator[EvseObserved]:
        """Every box reports, as after a start."""
        return (self.observation(box) for box in self.boxes)

    def next_second(self) -> list[Any]:
        """Let a second pass; return its facts in their order."""
        self.seconds += 1
        turn = self.seconds % REPORTS_EVERY_S
        answers, self._answers = self._answers, []
        return [
            *answers,
            *(self.observation(box) for box in self.boxes[turn::REPORTS_EVERY_S]),
            *self.meters(),
        ]

    def observation(self, box: Box) -> EvseObserved:
        """Return what a box says of itself."""
        lines = [box.drawn_a if line < box.car.phases else 0.0 for line in range(3)]
        return EvseObserved(
            evse_id=box.evse_id,
            station_id=box.evse_id,
            connector=1,
            epoch=1,
            observed_at=self.now,
            online=True,
            state=box.state,
            current_a=PhaseAmps(l1=lines[0], l2=lines[1], l3=lines[2]),
        )

    def meters(self) -> Iterator[MeterSampled]:
        """Return a reading of every meter: the main fuse's, and each floor's."""
        total = [0.0, 0.0, 0.0]
        floors = [[0.0, 0.0, 0.0] for _ in range(self.floors)]
        for number, box in enumerate(self.boxes):
            for phase in box.rotation[: box.car.phases]:
                total[PHASE_INDEX[phase]] += box.drawn_a
                floors[number // FLOOR][PHASE_INDEX[phase]] += box.drawn_a
        base_a = BASE_A + self.rng.uniform(-0.4, 0.4)
        yield self._reading("main", [amps + base_a for amps in total])
        for number, amps in enumerate(floors):
            yield self._reading(f"floor-{number}", amps)

    def _reading(self, meter_id: str, amps: list[float]) -> MeterSampled:
        return MeterSampled(
            meter_id=meter_id,
            sampled_at=self.now,
            current_a=PhaseAmps(l1=amps[0], l2=amps[1], l3=amps[2]),
        )

    def _box(self, number: int) -> Box:
        rng = self.rng
        plugged = rng.random() < PLUGGED
        phases = 1 if rng.random() < SINGLE_PHASE else 3
        wants_a = rng.choice((16.0, 16.0, 32.0)) if plugged else 0.0
        return Box(
            evse_id=f"E{number:05d}",
            rotation=ROTATIONS[number % 3],  # type: ignore[arg-type]  # three of them
            car=Car(phases=phases, wants_a=wants_a),
        )

    def _wanted_a(self, boxes: list[Box]) -> float:
        """The largest phase of what the cars of some boxes want."""
        wanted = [0.0, 0.0, 0.0]
        for box in boxes:
            for phase in box.rotation[: box.car.phases]:
                wanted[PHASE_INDEX[phase]] += box.car.wants_a
        return max(wanted)

    def _site(self) -> dict[str, Any]:
        nowhere = {"template": "eastron_sdm630", "host": "127.0.0.1", "port": 1}
        floors = range(self.floors)
        meters = [{"id": "main", "circuit": "main", "role": "grid", "modbus": nowhere}]
        meters += [
            {"id": f"floor-{n}", "circuit": f"floor-{n}", "role": "grid", "modbus": nowhere}
            for n in floors
        ]
        return {
            "revision": 1,
            "circuits": [
                {"id": "main", "limit_a": MOST_A},
                *(
                    self._circuit(f"floor-{n}", "main", self._part(n, FLOOR), ROOM_OF_FLOOR)
                    for n in floors
                ),
                *(
                    self._circuit(
                        f"strip-{n}",
                        f"floor-{n * STRIP // FLOOR}",
                        self._part(n, STRIP),
                        ROOM_OF_STRIP * self.rng.uniform(0.7, 1.3),
                    )
                    for n in range(math.ceil(len(self.boxes) / STRIP))
                ),
            ],
            "meters": meters,
            "stations": [{"id": box.evse_id, "protocol": "ocpp"} for box in self.boxes],
            "evses": [
                {
                    "id": box.evse_id,
                    "station": box.evse_id,
                    "circuit": f"strip-{number // STRIP}",
                    "rotation": box.rotation,
                }
                for number, box in enumerate(self.boxes)
            ],
        }

    def _part(self, number: int, size: int) -> list[Box]:
        return self.boxes[number * size : (number + 1) * size]

    def _circuit(self, name: str, parent: str, boxes: list[Box], room: float) -> dict[str, Any]:
        limit_a = room * self.share * self._wanted_a(boxes)
        return {"id": name, "parent": parent, "limit_a": max(10.0, round(limit_a, 1))}


def _with_main_fuse(site: SiteConfig, limit_a: float) -> SiteConfig:
    """Return the site with this main fuse, unchecked: 10,000 EVSEs need more than one may have."""
    limits = PhaseLimits.model_construct(L1=limit_a, L2=limit_a, L3=limit_a)
    main, *others = site.circuits
    return site.model_copy(
        update={"circuits": (main.model_copy(update={"limit_a": limits}), *others)}
    )
