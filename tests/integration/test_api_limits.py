"""Limits from outside over HTTP: kept, told to load management, repeated, lifted."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.bus.port import Delivery
from shared.contracts.charging import LimitChanged, LimitScope
from shared.contracts.station import FactsRequested
from shared.units import PhaseAmps
from tests.conditions import eventually
from tests.integration.test_api import RunningApi, database_url, running  # noqa: F401
from tests.postgres import postgres  # noqa: F401 - a fixture

GROUPS = [{"id": "tenants"}]


class Hearer:
    """Load management's ears."""

    def __init__(self) -> None:
        self.words: list[LimitChanged] = []

    async def heard(self, delivery: Delivery[LimitChanged]) -> None:
        self.words.append(delivery.message)

    @property
    def last(self) -> LimitChanged:
        return self.words[-1]


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:  # noqa: F811
    async with running(tmp_path, database_url) as started:
        await started.put_site(groups=GROUPS)
        yield started


@pytest.fixture
async def loadmgr(api: RunningApi) -> Hearer:
    hearer = Hearer()
    await api.bus.listen([LimitChanged], hearer.heard)
    return hearer


async def shown(api: RunningApi) -> Any:
    return (await api.client.get("/limits")).json()


async def test_a_limit_is_told_and_shown_until_it_is_lifted(
    api: RunningApi, loadmgr: Hearer
) -> None:
    answer = await api.client.put("/circuits/row/limit", json={"limit_a": 16, "limit_w": 7000})
    assert answer.status_code == 200, answer.text
    await eventually(lambda: loadmgr.words)
    told = loadmgr.last
    assert (told.scope, told.target, told.source) == (LimitScope.CIRCUIT, "row", "operator")
    assert (told.limit_a, told.limit_w) == (PhaseAmps(l1=16, l2=16, l3=16), 7000)
    (view,) = await shown(api)
    assert view["limit_a"] == {"L1": 16, "L2": 16, "L3": 16}
    assert (await api.client.delete("/circuits/row/limit")).status_code == 204
    assert await shown(api) == []
    await eventually(lambda: loadmgr.last.limit_a is None and loadmgr.last.limit_w is None)


async def test_each_source_has_its_own_limit(api: RunningApi) -> None:
    await api.client.put("/groups/tenants/limit", json={"limit_a": 20})
    await api.client.put("/groups/tenants/limit", json={"limit_a": 10, "source": "ems"})
    await api.client.put("/groups/tenants/limit", json={"limit_a": 12, "source": "ems"})
    assert [(view["source"], view["limit_a"]["L1"]) for view in await shown(api)] == [
        ("ems", 12),
        ("operator", 20),
    ]
    assert (await api.client.delete("/groups/tenants/limit?source=ems")).status_code == 204
    assert [view["source"] for view in await shown(api)] == ["operator"]


async def test_a_limit_that_has_expired_is_shown_no_more(api: RunningApi, loadmgr: Hearer) -> None:
    await api.client.put("/circuits/row/limit", json={"limit_a": 8, "valid_s": 0.2})
    await eventually(lambda: loadmgr.words)
    assert loadmgr.last.expires_at is not None

    async def is_gone() -> bool:
        return await shown(api) == []

    assert await eventually(is_gone)


async def test_who_asks_for_facts_is_told_again_also_that_a_limit_was_lifted(
    api: RunningApi, loadmgr: Hearer
) -> None:
    await api.client.put("/circuits/row/limit", json={"limit_a": 16})
    await api.client.put("/circuits/main/limit", json={"limit_a": 20})
    await api.client.delete("/circuits/main/limit")
    await eventually(lambda: len(loadmgr.words) == 3)
    loadmgr.words.clear()
    await api.bus.publish(FactsRequested(asker="loadmgr"))
    await eventually(lambda: len(loadmgr.words) == 2)
    limits = {word.target: word.limit_a for word in loadmgr.words}
    assert limits == {"main": None, "row": PhaseAmps(l1=16, l2=16, l3=16)}


async def test_limits_outlast_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as before:
        await before.put_site()
        await before.client.put("/circuits/row/limit", json={"limit_w": 4200, "source": "grid"})
    async with running(tmp_path) as after:
        (view,) = await shown(after)
        assert (view["source"], view["limit_w"], view["limit_a"]) == ("grid", 4200, None)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/circuits/nowhere/limit", {"limit_a": 6}, 404),
        ("/groups/row/limit", {"limit_a": 6}, 404),
        ("/circuits/row/limit", {}, 422),
        ("/circuits/row/limit", {"limit_a": -1}, 422),
        ("/circuits/row/limit", {"limit_a": 6, "valid_s": 0}, 422),
        ("/circuits/row/limit", {"limit_a": 6, "source": ""}, 422),
        ("/circuits/row/limit", {"limit_a": {"L1": 6}}, 422),
        ("/circuits/row/limit", {"amps": 6}, 422),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    api: RunningApi, path: str, body: dict[str, Any], status: int
) -> None:
    answer = await api.client.put(path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert await shown(api) == []


async def test_what_nobody_has_set_cannot_be_lifted(api: RunningApi) -> None:
    await api.client.put("/circuits/row/limit", json={"limit_a": 6, "source": "ems"})
    assert (await api.client.delete("/circuits/row/limit")).status_code == 404
    assert len(await shown(api)) == 1
