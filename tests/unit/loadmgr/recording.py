"""A simulated garage whose load management is recorded, as the controller records it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from loadmgr.decision_log import DecisionLog
from loadmgr.domain.site_model import compile_site
from loadmgr.domain.state import State
from loadmgr.log_folder import Keeping, LogFolder, log_files
from loadmgr.recorder import NoRecorder, Recorder
from shared.clock import FakeClock
from shared.contracts.alarm import AlarmChanged
from shared.contracts.message import Event
from shared.contracts.site import Mode, SiteConfig
from shared.health import Health
from tests.unit.loadmgr.garage import Car, Garage

KEEPING = Keeping(days=31, mib=100)
TOKEN = "04A1B2C3D4"
PASSWORD = "argon2-of-a-password"
METER = {"template": "eastron_sdm630", "host": "10.0.0.9"}
BACKEND = {"url": "wss://backend.example/ocpp", "client_id": "g", "password": "backend-secret"}


def site(**changes: Any) -> SiteConfig:
    """Five EVSEs on two circuits with a meter, and secrets wherever there can be some."""
    evse: dict[str, Any] = {"station": "box", "max_a": 32}
    given: dict[str, Any] = {
        "revision": 1,
        "circuits": [
            {"id": "main", "limit_a": 50, "uncontrolled_a": 10},
            {"id": "row", "parent": "main", "limit_a": 32},
        ],
        "stations": [
            {
                "id": "box",
                "protocol": "ocpp",
                "password_hash": PASSWORD,
                "configuration": {"AuthorizationKey": "key-of-the-box"},
            }
        ],
        "evses": [
            {**evse, "id": "a", "connector": 1, "circuit": "row", "backend": BACKEND},
            {**evse, "id": "b", "connector": 2, "circuit": "row", "fixed_token": TOKEN},
            {**evse, "id": "c", "connector": 3, "circuit": "main", "phases": 1},
            {**evse, "id": "d", "connector": 4, "circuit": "main", "rotation": None},
            {**evse, "id": "e", "connector": 5, "circuit": "main", "priority": 2},
        ],
        "meters": [{"id": "grid", "circuit": "main", "modbus": METER}],
        "tokens": [{"id": TOKEN}],
    }
    return SiteConfig.model_validate({**given, **changes})


class RecordedGarage(Garage):
    """The closed loop, with everything told to a recorder first."""

    def __init__(self, given: SiteConfig, recorder: Recorder | None = None) -> None:
        self.recorder: Recorder = recorder or NoRecorder()
        self.model = compile_site(SiteConfig(mode=Mode.OFF))
        self.t = 0.0
        super().__init__(given)
        self.forget()
        self.on_decision = self._record

    def load(self, given: SiteConfig) -> None:
        self.recorder.site(given, self.now)
        super().load(given)

    def forget(self) -> None:
        """Become active after another instance was."""
        self.recorder.forgot(self.now)
        self.state = State()
        self.state.fit(self.model, self.now.timestamp())

    def lose_station(self, station_id: str) -> None:
        """Nobody holds it, as the courier finds."""
        self.recorder.lost(station_id, self.now)
        self.state.lose_station(self.model, station_id, self.now.timestamp())

    def _tell(self, event: Event) -> bool:
        self.recorder.fact(event, self.now)
        return super()._tell(event)

    def _record(self, _: Garage) -> None:
        assert self.decision is not None
        told = self.t % 1.0 == 0
        self.recorder.decided(self.decision, self.state, self.now, is_told=told)


def live(garage: RecordedGarage, seed: int, steps: int) -> None:
    """Let vehicles come, want and go."""
    rng = Random(seed)
    for _ in range(steps):
        box = garage.boxes[rng.choice("abcde")]
        if box.car is None:
            box.car = Car(phases=rng.choice([1, 3]), wants_a=rng.choice([10.0, 16.0, 32.0]))
        elif rng.random() < 0.3:
            box.unplug()
        garage.base_a["main"][rng.randrange(3)] = rng.choice([0.0, 4.0, 9.0])
        garage.permit("a", rng.random() < 0.8, rng.choice([None, 8.0, 16.0]))
        garage.run(4)


class Desk:
    """A decision log in a folder, and what it says to others."""

    def __init__(self, folder: Path, *, keeping: Keeping = KEEPING, instance: str = "loadmgr/a1b2"):
        self.folder = LogFolder(folder, instance=instance, keeping=keeping)
        self.clock = FakeClock()
        self.health = Health()
        self.alarms: list[AlarmChanged] = []
        self.log = DecisionLog(self.folder, clock=self.clock, health=self.health, tell=self.hear)

    async def hear(self, alarm: AlarmChanged) -> None:
        self.alarms.append(alarm)

    async def write(self) -> None:
        """Write what waits, as ``run`` does twice a second."""
        await self.log._write()

    async def close(self) -> None:
        """Run, and stop."""
        writing = asyncio.create_task(self.log.run())
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    @property
    def trouble(self) -> str:
        return self.health.reports["decision-log"].detail


async def recorded(folder: Path, *acts: Callable[[RecordedGarage], None]) -> list[Path]:
    """Return the log of a garage in which one act after another happened."""
    desk = Desk(folder)
    garage = RecordedGarage(site(), desk.log)
    for act in acts:
        act(garage)
        await desk.write()
    await desk.close()
    return log_files(folder)
