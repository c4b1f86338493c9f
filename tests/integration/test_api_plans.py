"""Charging plans and overrides over HTTP: kept, told, repeated, and gone with the vehicle."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.bus.port import Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.plan import ChargingPlan, Override, PlanChanged
from shared.contracts.station import FactsRequested
from tests.conditions import eventually
from tests.integration.test_api import SITE, RunningApi, database_url, running  # noqa: F401
from tests.postgres import postgres  # noqa: F401 - a fixture

HOUR = timedelta(hours=1)
NEITHER = {"plan": None, "override": None, "has_vehicle": False, "changed_at": None}
OVER = "2026-01-01T00:00:00Z"


class Hearer:
    """Load management's ears."""

    def __init__(self) -> None:
        self.words: list[PlanChanged] = []

    async def heard(self, delivery: Delivery[PlanChanged]) -> None:
        self.words.append(delivery.message)

    @property
    def last(self) -> PlanChanged:
        return self.words[-1]


class Bay:
    """What is seen at one EVSE, told in order."""

    def __init__(self, api: RunningApi) -> None:
        self._api = api
        self._at = SYSTEM_CLOCK.now()

    async def shows(self, state: EvseState | None, *, online: bool = True) -> None:
        """Returns when the api has heard it."""
        self._at += timedelta(milliseconds=1)
        seen = EvseObserved(
            evse_id="bay/1",
            station_id="Box-1",
            connector=1,
            epoch=1,
            observed_at=self._at,
            online=online,
            state=state,
        )
        await self._api.bus.publish(seen)
        await eventually(self._is_known)

    async def _is_known(self) -> bool:
        live = (await self._api.client.get("/evses/bay/1")).json()["live"]
        return live["observed_at"] is not None and moment(live["observed_at"]) == self._at


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:  # noqa: F811
    async with running(tmp_path, database_url) as started:
        await started.put_site()
        yield started


@pytest.fixture
async def loadmgr(api: RunningApi) -> Hearer:
    hearer = Hearer()
    await api.bus.listen([PlanChanged], hearer.heard)
    return hearer


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def tomorrow() -> datetime:
    return SYSTEM_CLOCK.now().replace(microsecond=0) + 24 * HOUR


async def put(api: RunningApi, path: str, **body: Any) -> Any:
    answer = await api.client.put(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def shown(api: RunningApi, evse_id: str = "bay/1") -> dict[str, Any]:
    view: dict[str, Any] = (await api.client.get(f"/evses/{evse_id}/plan")).json()
    assert view.pop("evse_id") == evse_id
    return view


async def is_forgotten(api: RunningApi) -> bool:
    return await shown(api) == NEITHER


async def test_a_plan_is_told_and_shown_until_it_is_dropped(
    api: RunningApi, loadmgr: Hearer
) -> None:
    assert await shown(api) == NEITHER
    departs_at = tomorrow()
    there = departs_at.astimezone().isoformat()
    answered = await put(api, "/evses/bay/1/plan", departs_at=there, energy_kwh=20.5)
    await eventually(lambda: loadmgr.words)
    assert loadmgr.last.plan == ChargingPlan(departs_at=departs_at, energy_wh=20_500)
    assert loadmgr.last.override is None
    (listed,) = (await api.client.get("/plans")).json()
    assert listed == answered == {"evse_id": "bay/1", **await shown(api)}
    assert listed["plan"]["energy_kwh"] == 20.5
    assert listed["plan"]["departs_at"].endswith("Z")
    assert moment(listed["plan"]["departs_at"]) == departs_at
    assert moment(listed["changed_at"]) == loadmgr.last.changed_at
    assert (await api.client.delete("/evses/bay/1/plan")).status_code == 204
    await eventually(lambda: loadmgr.last.plan is None)
    assert await shown(api) == NEITHER
    assert (await api.client.get("/plans")).json() == []


async def test_plan_and_override_leave_each_other_alone_and_travel_together(
    api: RunningApi, loadmgr: Hearer
) -> None:
    await put(api, "/evses/bay/1/plan", energy_kwh=10)
    await put(api, "/evses/bay/1/override", charge=True, limit_a=10)
    await eventually(lambda: len(loadmgr.words) == 2)
    plan, override = ChargingPlan(energy_wh=10_000), Override(charge=True, limit_a=10)
    assert (loadmgr.last.plan, loadmgr.last.override) == (plan, override)
    await put(api, "/evses/bay/1/plan", energy_kwh=12)
    await put(api, "/evses/bay/1/override", charge=False)
    await eventually(lambda: len(loadmgr.words) == 4)
    plan, override = ChargingPlan(energy_wh=12_000), Override(charge=False)
    assert (loadmgr.last.plan, loadmgr.last.override) == (plan, override)
    await api.client.delete("/evses/bay/1/plan")
    await eventually(lambda: len(loadmgr.words) == 5)
    assert (loadmgr.last.plan, loadmgr.last.override) == (None, override)
    assert (await shown(api))["override"] == {"charge": False, "limit_a": None}
    assert (await api.client.delete("/evses/bay/1/override")).status_code == 204
    await eventually(lambda: loadmgr.last.override is None)
    assert await is_forgotten(api)


async def test_both_go_with_the_vehicle_that_was_there(api: RunningApi, loadmgr: Hearer) -> None:
    bay = Bay(api)
    await bay.shows(EvseState.C)
    await put(api, "/evses/bay/1/plan", energy_kwh=10)
    assert (await put(api, "/evses/bay/1/override", charge=True))["has_vehicle"] is True
    await put(api, "/evses/bay/2/override", charge=False)
    loadmgr.words.clear()
    await bay.shows(EvseState.B)
    await bay.shows(EvseState.A)
    await eventually(lambda: is_forgotten(api))
    await eventually(lambda: loadmgr.words)
    (word,) = [word for word in loadmgr.words if word.evse_id == "bay/1"]
    assert (word.plan, word.override) == (None, None)
    assert [view["evse_id"] for view in (await api.client.get("/plans")).json()] == ["bay/2"]


async def test_a_plan_for_an_empty_bay_is_for_the_next_vehicle(api: RunningApi) -> None:
    bay = Bay(api)
    await bay.shows(EvseState.B)
    await bay.shows(EvseState.A)
    answered = await put(api, "/evses/bay/1/plan", energy_kwh=10)
    assert answered["has_vehicle"] is False
    await bay.shows(EvseState.F)
    await bay.shows(EvseState.A)
    await bay.shows(EvseState.B)

    async def is_taken() -> bool:
        view = await shown(api)
        return view == {**view, "has_vehicle": True, "changed_at": answered["changed_at"]}

    await eventually(is_taken)
    await bay.shows(EvseState.A)
    await eventually(lambda: is_forgotten(api))


async def test_a_station_that_is_away_or_out_of_order_ends_nothing(api: RunningApi) -> None:
    bay = Bay(api)
    await bay.shows(EvseState.C)
    before = await put(api, "/evses/bay/1/plan", energy_kwh=10)
    await bay.shows(None, online=False)
    await bay.shows(EvseState.A, online=False)
    await bay.shows(None)
    await bay.shows(EvseState.E)
    await bay.shows(EvseState.F)
    await put(api, "/evses/bay/2/plan", energy_kwh=1)
    assert await shown(api) == {key: before[key] for key in NEITHER}
    await bay.shows(EvseState.A)
    await eventually(lambda: is_forgotten(api))


async def test_what_was_seen_in_the_same_moment_counts_for_the_old_plan_only(
    api: RunningApi,
) -> None:
    bay = Bay(api)
    await bay.shows(EvseState.C)
    await put(api, "/evses/bay/1/override", charge=True)
    await bay.shows(EvseState.A)
    answered = await put(api, "/evses/bay/1/plan", energy_kwh=7)
    assert answered["override"] is None, "it went with the vehicle, before the plan came"
    assert (answered["plan"]["energy_kwh"], answered["has_vehicle"]) == (7, False)


async def test_a_vehicle_that_leaves_while_the_api_is_away_takes_its_plan_along(
    tmp_path: Path,
    database_url: str | None,  # noqa: F811
) -> None:
    async with running(tmp_path, database_url) as before:
        await before.put_site()
        await Bay(before).shows(EvseState.C)
        await put(before, "/evses/bay/1/plan", energy_kwh=10)
        await put(before, "/evses/bay/2/plan", energy_kwh=10)
    async with running(tmp_path, database_url) as after:
        assert len((await after.client.get("/plans")).json()) == 2
        await Bay(after).shows(EvseState.A)
        await eventually(lambda: is_forgotten(after))
        assert (await shown(after, "bay/2"))["plan"] is not None


async def test_who_asks_for_facts_is_told_again_also_that_something_ended(
    api: RunningApi, loadmgr: Hearer
) -> None:
    await put(api, "/evses/bay/1/plan", energy_kwh=10)
    await put(api, "/evses/bay/2/override", charge=False)
    await api.client.delete("/evses/bay/2/override")
    await eventually(lambda: len(loadmgr.words) == 3)
    told = loadmgr.words.copy()
    loadmgr.words.clear()
    await api.bus.publish(FactsRequested(asker="loadmgr"))
    await eventually(lambda: len(loadmgr.words) == 2)
    assert loadmgr.words == [told[0], told[2]], "with the times of the changes themselves"


async def test_an_evse_that_is_taken_out_of_the_site_has_no_plan(
    api: RunningApi, loadmgr: Hearer
) -> None:
    await put(api, "/evses/bay/2/plan", energy_kwh=10)
    await api.put_site(evses=SITE["evses"][:1])
    assert (await api.client.get("/plans")).json() == []
    assert (await api.client.get("/evses/bay/2/plan")).status_code == 404
    await eventually(lambda: loadmgr.words)
    loadmgr.words.clear()
    await put(api, "/evses/bay/1/plan", energy_kwh=1)
    await api.bus.publish(FactsRequested(asker="loadmgr"))
    await eventually(lambda: len(loadmgr.words) == 2)
    assert {word.evse_id for word in loadmgr.words} == {"bay/1"}


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("/evses/bay/3/plan", {"energy_kwh": 1}, 404, "EVSE 'bay/3' does not exist"),
    ("/evses/bay/3/override", {"charge": True}, 404, "EVSE 'bay/3' does not exist"),
    ("/evses/bay/1/plan", {}, 422, "give starts_at, ends_at, departs_at or energy_kwh"),
    ("/evses/bay/1/plan", {"energy_kwh": None}, 422, "use DELETE"),
    ("/evses/bay/1/plan", {"energy_kwh": 0}, 422, "more than 0"),
    ("/evses/bay/1/plan", {"energy_kwh": 20_000}, 422, "at most 500, in kWh"),
    ("/evses/bay/1/plan", {"energy_kwh": "12"}, 422, "valid number"),
    ("/evses/bay/1/plan", {"energy_wh": 12}, 422, "not permitted"),
    ("/evses/bay/1/plan", {"ends_at": "2026-11-24T08:00:00"}, 422, "give its zone too"),
    ("/evses/bay/1/plan", {"departs_at": OVER}, 422, "it is over, for here it is 20"),
    ("/evses/bay/1/plan", {"starts_at": "9999-12-31T23:59:59-12:00"}, 422, "look at the year"),
    ("/evses/bay/1/plan", {"starts_at": "0001-01-01T00:00:00+12:00"}, 422, "look at the year"),
    ("/evses/bay/1/override", {}, 422, "Field required"),
    ("/evses/bay/1/override", {"charge": "yes"}, 422, "valid boolean"),
    ("/evses/bay/1/override", {"charge": True, "limit_a": 33}, 422, "6 to max_a 32 of EVSE"),
    ("/evses/bay/1/override", {"charge": True, "limit_a": 3}, 422, "from min_a 6"),
    ("/evses/bay/1/override", {"charge": False, "limit_a": 8}, 422, "leave it out"),
]


async def test_what_makes_no_sense_is_refused_with_what_to_do(api: RunningApi) -> None:
    for path, body, status, words in REFUSED:
        answer = await api.client.put(path, json=body)
        assert answer.status_code == status, body
        assert answer.headers["content-type"] == "application/problem+json", body
        assert words in answer.text
    assert (await api.client.get("/plans")).json() == []


async def test_findings_are_named_by_their_place_in_the_body(api: RunningApi) -> None:
    starts = tomorrow()
    body = {
        "starts_at": starts.isoformat(),
        "ends_at": starts.isoformat(),
        "departs_at": (starts - HOUR).isoformat(),
        "energy_kwh": -1,
    }
    problems = (await api.client.put("/evses/bay/1/plan", json=body)).json()["problems"]
    paths = ["body.energy_kwh", "body.ends_at", "body.departs_at"]
    assert [problem["path"] for problem in problems] == paths
    assert {problem["message"] for problem in problems[1:]} == {"it must be after starts_at"}


async def test_numbers_that_are_none_are_refused(api: RunningApi) -> None:
    headers = {"Content-Type": "application/json"}
    for path, text in (
        ("/evses/bay/1/plan", '{"energy_kwh": NaN}'),
        ("/evses/bay/1/plan", '{"energy_kwh": Infinity}'),
        ("/evses/bay/1/override", '{"charge": true, "limit_a": NaN}'),
    ):
        answer = await api.client.put(path, content=text, headers=headers)
        assert (answer.status_code, "finite number" in answer.text) == (422, True)


async def test_what_nobody_has_set_cannot_be_dropped(api: RunningApi) -> None:
    await put(api, "/evses/bay/1/plan", energy_kwh=1)
    await put(api, "/evses/bay/2/override", charge=True)
    for path in ("bay/1/override", "bay/2/plan", "bay/3/plan", "bay/3/override"):
        assert (await api.client.delete(f"/evses/{path}")).status_code == 404
    assert len((await api.client.get("/plans")).json()) == 2


async def test_a_plan_read_back_has_utc(api: RunningApi) -> None:
    departs_at = tomorrow()
    await put(api, "/evses/bay/1/plan", departs_at=departs_at.isoformat())
    text = (await shown(api))["plan"]["departs_at"]
    assert moment(text).astimezone(UTC) == departs_at
