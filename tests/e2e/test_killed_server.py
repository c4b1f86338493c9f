"""``kill -9`` while cars charge: nothing billable is lost, doubled, or given another id.

Boxes repeat what was not answered, as real ones do. The databases are the witnesses.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker
from tests.conditions import eventually
from tests.e2e.books import Books, Entry, milliseconds
from tests.e2e.deployment import Deployment, OneProcessEach, running
from tests.e2e.persistent_box import TOKEN, Box, Charge
from tests.postgres import Postgres

LONG, SHORT = 200, 15
"""Boxes with one long transaction each, and boxes that begin one as soon as the last has ended, so
that starts and stops are under way at any moment."""
EAGER = 5
"""So many of the long ones send a value as soon as the last is answered."""
PAUSE_S = 0.5
VALUES = 3
OUTAGE_S = 3.0
WITHIN_S = 90.0

pytestmark = pytest.mark.timeout(400)


def site(boxes: int) -> dict[str, Any]:
    ids = [f"BOX-{number:03}" for number in range(boxes)]
    return {
        "name": "killed",
        "ocpp_server": {"handshakes_per_minute": 20_000},
        "circuits": [{"id": "main", "limit_a": 5_000}],
        "stations": [{"id": one, "protocol": "ocpp"} for one in ids],
        "evses": [{"id": f"bay-{one}", "station": one, "circuit": "main"} for one in ids],
        "tokens": [{"id": TOKEN}],
    }


class Garage:
    """All boxes. They charge from the beginning until ``finish``."""

    def __init__(self, port: int) -> None:
        url = f"ws://127.0.0.1:{port}"
        self.boxes = [Box(url, number) for number in range(LONG + SHORT)]
        self.long, self._short = self.boxes[:LONG], self.boxes[LONG:]
        self._is_over = asyncio.Event()
        self._charging: list[asyncio.Task[None]] = []

    @property
    def charges(self) -> list[Charge]:
        """Every transaction that a box was given an id for."""
        return [charge for box in self.boxes for charge in box.charges]

    @property
    def open(self) -> int:
        """How many of the long transactions run."""
        return sum(box.running is not None for box in self.long)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connect the boxes and have them charge."""
        async with asyncio.TaskGroup() as group:
            connections = [group.create_task(box.run()) for box in self.boxes]
            for number, box in enumerate(self.long):
                pause_s = 0 if number < EAGER else PAUSE_S
                self._charging.append(group.create_task(self._charge(box, pause_s)))
            self._charging += [group.create_task(self._charge_often(box)) for box in self._short]
            yield
            for task in connections:
                task.cancel()

    async def until_values_flow(self) -> None:
        """Wait until every long transaction has some more values than now."""
        before = [len(charge.values) if (charge := box.running) else 0 for box in self.long]

        def flows() -> bool:
            pairs = zip(self.long, before, strict=True)
            return all(box.running and len(box.running.values) >= n + VALUES for box, n in pairs)

        await eventually(flows, within_s=WITHIN_S, claim="all boxes charge and send values")

    @property
    def connections(self) -> int:
        """How often a box has connected."""
        return sum(box.connections for box in self.boxes)

    async def until_back(self, share: float, *, since: int) -> None:
        """Wait until this share of the boxes has come back since there were so many connections."""
        await eventually(
            lambda: self.connections >= since + share * len(self.boxes),
            within_s=WITHIN_S,
            claim=f"{share:.0%} of the boxes come back",
        )

    async def finish(self) -> None:
        """End every transaction, and wait until that is acknowledged."""
        self._is_over.set()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(*self._charging)

    async def _charge(self, box: Box, pause_s: float) -> None:
        await box.charge(is_over=self._is_over.is_set, pause_s=pause_s)

    async def _charge_often(self, box: Box) -> None:
        while not self._is_over.is_set():
            await box.charge(is_over=lambda: True, pause_s=0)


async def charged_through(
    deployment: Deployment, disturb: Callable[[Deployment, Garage], Awaitable[None]]
) -> Garage:
    """Let all boxes charge, disturb them meanwhile, and return what they know when all is over."""
    answer = await deployment.api.put("/api/v1/site", json=site(LONG + SHORT))
    assert answer.status_code == 200, answer.text
    garage = Garage(deployment.ocpp_port)
    async with garage.connected():
        await garage.until_values_flow()
        assert garage.open == LONG
        await disturb(deployment, garage)
        await garage.until_values_flow()
        await garage.finish()
    return garage


async def kill_twice(deployment: Deployment, garage: Garage) -> None:
    """Kill it in full work, and again while the boxes come back from that."""
    await deployment.kill_ocpp_server()
    assert garage.open == LONG
    before = garage.connections  # they come back while it is becoming ready
    await deployment.restart_ocpp_server()
    await garage.until_back(0.4, since=before)
    await deployment.kill_ocpp_server()
    await deployment.restart_ocpp_server()


async def take_the_broker_away(deployment: Deployment, garage: Garage) -> None:
    """The stations stay connected; what they tell has to wait."""
    await deployment.lose_manager()
    await asyncio.sleep(OUTAGE_S)
    await deployment.bring_back()


async def test_a_killed_server_loses_and_doubles_nothing(deployment: Deployment) -> None:
    garage = await charged_through(deployment, kill_twice)
    assert all(box.connections >= 2 for box in garage.boxes), "everybody was disconnected"
    assert sum(box.repeats for box in garage.boxes) > 0, "something was under way when it died"
    assert any(len(charge.ids) > 1 for charge in garage.charges)
    await check_books(deployment, garage.charges)


@pytest.mark.rabbit
@pytest.mark.postgres
async def test_a_killed_broker_loses_and_doubles_nothing(
    tmp_path: Path, broker: Broker, postgres: Postgres
) -> None:
    url = await asyncio.to_thread(postgres.new_database)
    async with running(OneProcessEach(tmp_path, broker, url)) as deployment:
        garage = await charged_through(deployment, take_the_broker_away)
        await check_books(deployment, garage.charges)


async def check_books(deployment: Deployment, charges: list[Charge]) -> None:
    """Every acknowledged fact is in the books once, as it was told, and nothing else is."""
    changed = [charge for charge in charges if len(set(charge.ids)) != 1]
    assert not changed, f"transactions whose id changed: {changed[:3]}"
    books = Books(deployment.database_url_of)
    await agree("ledger", books.transactions, Counter(map(in_ledger, charges)))
    assert await books.orphan_stops() == 0

    async def all_is_delivered() -> bool:
        return await books.undelivered() == 0

    await eventually(all_is_delivered, within_s=WITHIN_S, every_s=0.5, claim="outbox is empty")
    await agree("sessions", books.sessions, Counter(map(as_session, charges)))
    values = Counter(entry for charge in charges for entry in as_values(charge))
    await agree("meter_values", books.meter_values, values)
    await check_rest(deployment, charges)


async def agree(
    name: str, read: Callable[[], Awaitable["Counter[Entry]"]], told: "Counter[Entry]"
) -> None:
    """Wait until a table holds exactly what was told."""
    found: Counter[Entry] = Counter()

    async def is_as_told() -> bool:
        nonlocal found
        found = await read()
        return found == told

    with contextlib.suppress(AssertionError):
        await eventually(is_as_told, within_s=WITHIN_S, every_s=0.5)
    lost, added = told - found, found - told
    assert (lost.total(), added.total()) == (0, 0), (
        f"{name}: {lost.total()} of {told.total()} lost, {added.total()} too many; "
        f"lost {list(lost)[:3]}, too many {list(added)[:3]}"
    )


async def check_rest(deployment: Deployment, charges: list[Charge]) -> None:
    """An operator sees the same."""
    page = await deployment.api.get("/api/v1/sessions", params={"limit": 1})
    assert page.json()["total"] == len(charges)
    longest = max(charges, key=lambda charge: len(charge.values))
    shown = await deployment.api.get(
        f"/api/v1/sessions/{session_id(longest)}/meter-values", params={"limit": 100_000}
    )
    assert [one["energy_wh"] for one in shown.json()] == [wh for _, wh in longest.values]


def session_id(charge: Charge) -> str:
    return f"ocpp-{charge.station_id}-{charge.transaction_id}"


def in_ledger(charge: Charge) -> Entry:
    assert charge.stop is not None
    meter = charge.start["meterStart"], charge.stop["meterStop"]
    return (charge.transaction_id, charge.station_id, *meter)


def as_session(charge: Charge) -> Entry:
    assert charge.stop is not None
    energy = charge.start["meterStart"], charge.stop["meterStop"]
    return (session_id(charge), charge.transaction_id, charge.station_id, *energy, True)


def as_values(charge: Charge) -> list[Entry]:
    return [
        (
            charge.station_id,
            charge.transaction_id,
            milliseconds(datetime.fromisoformat(at)),
            energy_wh,
        )
        for at, energy_wh in charge.values
    ]
