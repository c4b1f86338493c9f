"""Section 14a EnWG over HTTP: the control box is heard, told to load management, and repeated."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.storage.external_limits import ExternalLimitStore
from shared.contracts.charging import LimitChanged, LimitScope
from shared.store import Database
from tests.conditions import eventually
from tests.integration.test_api import RunningApi, database_url, running  # noqa: F401
from tests.integration.test_api_limits import Hearer
from tests.postgres import postgres  # noqa: F401 - a fixture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:  # noqa: F811
    async with running(tmp_path, database_url) as started:
        await started.put_site(dimming={"others_w": 1_000})
        yield started


@pytest.fixture
async def loadmgr(api: RunningApi) -> Hearer:
    hearer = Hearer()
    await api.bus.listen([LimitChanged], hearer.heard)
    return hearer


async def say(api: RunningApi, **word: Any) -> Any:
    answer = await api.client.put("/dimming", json=word)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_word_of_the_control_box_is_told_and_shown(
    api: RunningApi, loadmgr: Hearer
) -> None:
    view = await say(api, dimmed=True, limit_w=21_000)
    assert (view["dimmed"], view["limit_w"], view["source"]) == (True, 21_000, "control-box")
    await eventually(lambda: loadmgr.words)
    told = loadmgr.last
    assert (told.scope, told.target, told.limit_w) == (LimitScope.DIMMING, "grid", 21_000)
    assert (await api.client.get("/dimming")).json() == [view]
    assert (await api.client.get("/limits")).json() == [], "it is no limit of a circuit"


async def test_a_relay_names_no_number(api: RunningApi, loadmgr: Hearer) -> None:
    view = await say(api, dimmed=True)
    assert view["limit_w"] is None
    await eventually(lambda: loadmgr.words)
    assert loadmgr.last.limit_w == -1


async def test_the_end_is_a_word_too(api: RunningApi, loadmgr: Hearer) -> None:
    await say(api, dimmed=True, limit_w=5_000)
    view = await say(api, dimmed=False)
    assert (view["dimmed"], view["limit_w"]) == (False, None)
    await eventually(lambda: loadmgr.words and loadmgr.last.limit_w is None)
    assert loadmgr.last.expires_at is None


async def test_a_control_box_that_was_taken_out_is_forgotten(
    api: RunningApi, loadmgr: Hearer
) -> None:
    await say(api, dimmed=True, source="relay")
    assert (await api.client.delete("/dimming", params={"source": "relay"})).status_code == 204
    assert (await api.client.get("/dimming")).json() == []
    await eventually(lambda: loadmgr.words and loadmgr.last.expires_at is not None)
    assert loadmgr.last.expires_at == loadmgr.last.changed_at
    assert (await api.client.delete("/dimming", params={"source": "relay"})).status_code == 404


async def test_mistakes_are_explained(api: RunningApi) -> None:
    answer = await api.client.put("/dimming", json={"dimmed": False, "limit_w": 5_000})
    assert answer.status_code == 422
    assert "dimmed: true" in answer.text
    await api.put_site()
    answer = await api.client.put("/dimming", json={"dimmed": True})
    assert answer.status_code == 409
    assert "set dimming" in answer.json()["detail"]


async def test_what_has_run_out_counts_on_until_the_box_is_taken_out(database: Database) -> None:
    store, hour = ExternalLimitStore(database), timedelta(hours=1)
    of_circuit = word(LimitScope.CIRCUIT, "row", limit_w=1.0, expires_at=NOON)
    dimmed = word(LimitScope.DIMMING, "grid", limit_w=1.0, expires_at=NOON)
    ended = word(LimitScope.DIMMING, "grid", source="other", limit_w=None)
    for kept in (of_circuit, dimmed, ended):
        await store.put(kept)
    await store.forget_over_before(NOON + hour)
    assert await store.all() == [dimmed, ended]
    out = dimmed.model_copy(update={"limit_w": None, "expires_at": dimmed.changed_at})
    await store.put(out)
    await store.forget_over_before(NOON + hour)
    assert await store.all() == [ended]


def word(scope: LimitScope, target: str, **fields: Any) -> LimitChanged:
    given = {"source": "box", "changed_at": NOON - timedelta(minutes=1)} | fields
    return LimitChanged(scope=scope, target=target, **given)
