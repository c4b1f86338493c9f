"""The api as a whole, over HTTP and the bus, with both databases."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from api.service import run
from api.settings import ApiSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Bus, Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.alarm import AlarmChanged, Severity
from shared.contracts.charging import (
    Offer,
    OffersDecided,
    Reason,
    ReasonCode,
    StartCharging,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import ActionOutcome, Event, station_address
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import GetSite, SiteChanged
from shared.contracts.station import (
    FactsRequested,
    RefusalReason,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationRefused,
)
from shared.errors import ConfigError, Unroutable
from shared.health import Health
from shared.passwords import password_matches
from tests.conditions import eventually
from tests.postgres import postgres  # noqa: F401 - a fixture

TOKEN = "a-token-for-these-tests"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEPT_FOR_LONG = dict.fromkeys(
    (
        "history_days",
        "station_job_days",
        "reservation_days",
        "security_event_days",
        "meter_value_days",
        "message_log_days",
    ),
    3650,
)
"""What is told here happened at a fixed time, which is long ago one day."""
SITE: dict[str, Any] = {
    "name": "Test garage",
    "circuits": [
        {"id": "main", "limit_a": 63},
        {"id": "row", "parent": "main", "limit_a": 32},
    ],
    "stations": [
        {"id": "Box-1", "protocol": "ocpp"},
        {
            "id": "Box-2",
            "protocol": "modbus",
            "modbus": {"template": "cfos_power_brain", "host": "10.0.0.2"},
        },
    ],
    "evses": [
        {"id": "bay/1", "station": "Box-1", "connector": 1, "circuit": "row"},
        {"id": "bay/2", "station": "Box-2", "circuit": "row"},
    ],
}


@dataclass
class RunningApi:
    """The service under test, a client of it, and the other services' seat on the bus."""

    client: httpx.AsyncClient
    bus: Bus
    hub: MemoryBus
    health: Health
    port: int

    async def put_site(self, **changes: Any) -> httpx.Response:
        return await self.client.put("/site", json={**SITE, **changes})

    async def current(self) -> Any:
        return (await self.bus.ask(GetSite(), timeout_s=5)).site


@asynccontextmanager
async def running(
    folder: Path,
    database_url: str | None = None,
    *,
    hub: MemoryBus | None = None,
    **settings: Any,
) -> AsyncIterator[RunningApi]:
    hub = hub or MemoryBus(services=frozenset({"api"}))
    bus, others, health = hub.join("api"), hub.join("others"), Health()
    here: dict[str, Any] = {"admin_token": TOKEN, "http_port": 0, "data_dir": folder}
    values = KEPT_FOR_LONG | here | settings
    made = ApiSettings(database_url=database_url, _env_file=None, **values)
    service = asyncio.create_task(run(made, bus, clock=SYSTEM_CLOCK, health=health))
    try:
        await eventually(lambda: health.is_ready or service.done(), within_s=30)
        if service.done():
            await service
        port = int(health.reports["http"].detail.split()[1])
        base = f"http://127.0.0.1:{port}/api/v1"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as client:
            yield RunningApi(client, others, hub, health, port)
    finally:
        service.cancel()
        await asyncio.gather(service, return_exceptions=True)
        await bus.close()
        await others.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with running(tmp_path, database_url) as started:
        yield started


async def test_an_empty_database_serves_a_site_with_a_grid_connection_only(api: RunningApi) -> None:
    answer = await api.client.get("/site")
    site = answer.json()
    assert (answer.status_code, answer.headers["etag"], site["revision"]) == (200, '"1"', 1)
    assert [circuit["limit_a"]["L1"] for circuit in site["circuits"]] == [32]
    assert site["evses"] == []


async def test_a_saved_site_is_versioned_published_and_answered_on_the_bus(api: RunningApi) -> None:
    published: list[int] = []

    async def heard(delivery: Delivery[SiteChanged]) -> None:
        published.append(delivery.message.site.revision)

    await api.bus.listen([SiteChanged], heard)
    answer = await api.put_site()
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert [evse.id for evse in (await api.current()).evses] == ["bay/1", "bay/2"]
    await eventually(lambda: published == [2])


async def test_health_tells_the_revision_in_force(api: RunningApi) -> None:
    assert api.health.reports["site"].detail == "revision 1"
    await api.put_site()
    assert api.health.reports["site"].detail == "revision 2"


async def test_saving_what_is_there_already_makes_no_revision(api: RunningApi) -> None:
    await api.put_site()
    again = await api.put_site()
    assert (again.json()["revision"], again.json()["changes"]) == (2, [])


async def test_the_site_survives_a_restart(tmp_path: Path, database_url: str | None) -> None:
    async with running(tmp_path, database_url) as first:
        await first.put_site()
    async with running(tmp_path, database_url) as second:
        assert (await second.current()).revision == 2


async def test_yaml_goes_in_and_out_unchanged(api: RunningApi) -> None:
    await api.put_site()
    yaml = await api.client.get("/site", headers={"Accept": "application/yaml"})
    assert yaml.headers["content-type"].startswith("application/yaml")
    again = await api.client.put(
        "/site", content=yaml.content, headers={"Content-Type": "application/yaml"}
    )
    assert (again.status_code, again.json()["changes"]) == (200, [])


async def test_if_match_of_an_old_revision_is_refused_and_stores_nothing(api: RunningApi) -> None:
    await api.put_site()
    stale = await api.client.put("/site", json=SITE | {"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert stale.headers["content-type"] == "application/problem+json"
    fresh = await api.client.put("/site", json=SITE | {"name": "x"}, headers={"If-Match": '"2"'})
    assert (fresh.status_code, fresh.json()["revision"]) == (200, 3)


async def test_concurrent_edits_of_different_parts_all_survive(api: RunningApi) -> None:
    puts = (api.client.put(f"/tokens/card-{number}", json={}) for number in range(8))
    answers = await asyncio.gather(*puts)
    assert {answer.status_code for answer in answers} == {200}
    assert len((await api.current()).tokens) == 8


async def test_replicas_lose_no_edit_and_the_one_that_is_left_answers(
    tmp_path: Path, database_url: str | None
) -> None:
    async with running(tmp_path, database_url) as first:
        async with running(tmp_path, database_url, hub=first.hub) as second:
            puts = [
                replica.client.put(f"/tokens/{name}-{number}", json={})
                for number in range(4)
                for name, replica in (("a", first), ("b", second))
            ]
            answers = await asyncio.gather(*puts)
            assert {answer.status_code for answer in answers} == {200}
            for replica in (first, second):
                assert len((await replica.client.get("/tokens")).json()) == 8
        await eventually(lambda: _answers(first), within_s=20)


async def test_a_dry_run_shows_changes_and_problems_and_stores_nothing(api: RunningApi) -> None:
    broken = SITE | {"evses": [{"id": "bay/1", "station": "Box-9", "circuit": "row"}]}
    answer = await api.client.put("/site", params={"dry_run": True}, json=broken)
    body = answer.json()
    assert (answer.status_code, body["valid"], body["revision"]) == (200, False, 1)
    assert [problem["path"] for problem in body["problems"]] == ["evses[bay/1].station"]
    assert {"path": "name", "before": "Parkade", "after": "Test garage"} in body["changes"]
    assert (await api.current()).revision == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "changed"),
    [
        ("PATCH", "/site", {"name": "x"}, "name"),
        ("PUT", "/circuits/row", {"parent": "main", "limit_a": 20}, "circuits[row].limit_a"),
        ("PUT", "/groups/fleet", {"limit_a": 16}, "groups[fleet]"),
        ("PUT", "/evses/bay/1", {"station": "Box-1", "circuit": "main"}, "evses[bay/1].circuit"),
        ("PUT", "/tokens/card", {}, "tokens[card]"),
        ("PUT", "/stations/Box-1/config", {"protocol": "ocpp", "name": "x"}, "stations[Box-1]"),
        ("PUT", "/ocpp-server", {"heartbeat_interval_s": 60}, "ocpp_server.heartbeat_interval_s"),
        ("DELETE", "/evses/bay/1", None, "evses[bay/1]"),
    ],
)
async def test_every_edit_of_the_site_can_be_run_dry(
    api: RunningApi, method: str, path: str, body: Any, changed: str
) -> None:
    await api.put_site()
    answer = await api.client.request(method, path, params={"dry_run": True}, json=body)
    told = answer.json()
    assert (answer.status_code, told["valid"], told["revision"]) == (200, True, 2), told
    assert told["changes"]
    assert all(change["path"].startswith(changed) for change in told["changes"])
    assert (await api.current()).revision == 2
    done = await api.client.request(method, path, json=body)
    assert (done.json()["revision"], done.json()["changes"]) == (3, told["changes"])


async def test_a_dry_run_of_a_part_tells_what_would_not_work(api: RunningApi) -> None:
    await api.put_site()
    answer = await api.client.delete("/circuits/row", params={"dry_run": True})
    assert (answer.status_code, answer.json()["valid"]) == (200, False)
    assert answer.json()["problems"][0]["path"] == "evses[bay/1].circuit"
    nobody = await api.client.delete("/circuits/nowhere", params={"dry_run": True})
    assert nobody.status_code == 404


async def test_openapi_offers_a_dry_run_wherever_the_site_is_edited(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        answer = await api.client.get(f"http://127.0.0.1:{api.port}/openapi.json")
    saves = [
        operation
        for operations in answer.json()["paths"].values()
        for operation in operations.values()
        if "SaveAnswer" in str(operation["responses"])
    ]
    assert len(saves) == 15
    for operation in saves:
        assert "dry_run" in [one["name"] for one in operation["parameters"]], operation["summary"]


async def test_a_site_that_cannot_work_is_refused_with_what_to_do(api: RunningApi) -> None:
    answer = await api.put_site(evses=[{"id": "b", "station": "Box-1", "circuit": "nowhere"}])
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (422, 422)
    assert problem["problems"][0]["path"] == "evses[b].circuit"
    assert "'nowhere' does not exist" in problem["problems"][0]["message"]


async def test_a_time_zone_or_a_model_that_is_none_is_refused_with_what_there_is(
    api: RunningApi,
) -> None:
    stations = [{"id": "Box-1", "protocol": "ocpp", "model": "Growatt"}, *SITE["stations"][1:]]
    answer = await api.put_site(time_zone="Berlin", stations=stations)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    told = {problem["path"]: problem["message"] for problem in answer.json()["problems"]}
    assert set(told) == {"time_zone", "stations[Box-1].model"}
    assert "'Europe/Berlin'" in told["time_zone"]
    assert "growatt" in told["stations[Box-1].model"]
    stations[0]["model"] = "growatt"
    assert (await api.put_site(time_zone="Europe/Lisbon", stations=stations)).status_code == 200
    assert (await api.current()).time_zone == "Europe/Lisbon"


async def test_broken_yaml_is_answered_with_line_and_column(api: RunningApi) -> None:
    answer = await api.client.put("/site", content="name: x\ncircuits: [\n")
    assert answer.status_code == 400
    assert answer.json()["problems"][0]["path"] == "line 3, column 1"


async def test_a_merge_patch_changes_one_setting(api: RunningApi) -> None:
    await api.put_site()
    answer = await api.client.patch("/site", json={"mode": "monitor"})
    assert [change["path"] for change in answer.json()["changes"]] == ["mode"]
    assert len((await api.current()).evses) == 2


async def test_passwords_are_stored_hashed_and_never_shown(api: RunningApi) -> None:
    await api.put_site()
    await api.client.put("/ocpp-server", json={"password": "for all boxes"})
    await api.client.put(
        "/stations/Box-1/config", json={"protocol": "ocpp", "password": "for this box"}
    )
    backend = {"url": "wss://backend.example/", "client_id": "G1", "password": "for the backend"}
    await api.client.put(
        "/evses/bay/1", json={"station": "Box-1", "circuit": "row", "backend": backend}
    )
    site = await api.current()
    assert password_matches(site.ocpp_server.password_hash or "", "for all boxes")
    assert password_matches(site.stations[0].password_hash or "", "for this box")
    assert site.evses[0].backend.password == "for the backend"
    for path in ("/site", "/ocpp-server", "/evses", "/evses/bay/1"):
        text = (await api.client.get(path)).text
        assert "***" in text, path
        assert "argon2" not in text, path
        assert "for " not in text, path


async def test_three_stars_keep_a_password_and_null_removes_it(api: RunningApi) -> None:
    await api.client.put("/ocpp-server", json={"password": "for all boxes"})
    shown = (await api.client.get("/ocpp-server")).json()
    await api.client.put("/ocpp-server", json=shown | {"heartbeat_interval_s": 60})
    server = (await api.current()).ocpp_server
    assert server.heartbeat_interval_s == 60
    assert password_matches(server.password_hash or "", "for all boxes")
    await api.client.put("/ocpp-server", json={"password": None})
    assert (await api.current()).ocpp_server.password_hash is None


async def test_parts_are_made_read_replaced_and_removed(api: RunningApi) -> None:
    created = await api.client.put("/groups/fleet", json={"limit_a": 16, "priority": 5})
    assert created.status_code == 200
    assert (await api.client.get("/groups")).json()[0]["limit_a"]["L2"] == 16
    assert (await api.client.delete("/groups/fleet")).status_code == 200
    created = await api.client.put("/circuits/a", json={"parent": "main", "limit_a": 16})
    assert created.status_code == 200
    assert (await api.client.get("/circuits/a")).json()["limit_a"]["L2"] == 16
    await api.client.put("/circuits/a", json={"parent": "main", "limit_a": 20})
    assert (await api.client.get("/circuits")).json()[1]["limit_a"]["L3"] == 20
    assert (await api.client.delete("/circuits/a")).status_code == 200
    assert (await api.client.get("/circuits/a")).status_code == 404
    assert (await api.client.delete("/circuits/a")).status_code == 404


async def test_a_circuit_in_use_cannot_be_removed(api: RunningApi) -> None:
    await api.put_site()
    answer = await api.client.delete("/circuits/row")
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["path"] == "evses[bay/1].circuit"


async def test_an_evse_can_be_sent_back_as_it_was_read(api: RunningApi) -> None:
    await api.put_site()
    shown = (await api.client.get("/evses/bay/1")).json()
    answer = await api.client.put("/evses/bay/1", json=shown | {"max_a": 20})
    assert [change["path"] for change in answer.json()["changes"]] == ["evses[bay/1].max_a"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/site", None, 405),
        ("PUT", "/site", b"x" * ((1 << 20) + 1), 413),
        ("PUT", "/circuits/a", b"{", 400),
        ("PUT", "/circuits/a", b"[]", 400),
        ("PUT", "/circuits/a", b'{"id": "b", "limit_a": 1}', 422),
        ("GET", "/stations?state=asleep", None, 422),
        ("GET", "/stations/nobody", None, 404),
        ("GET", "/history?limit=0", None, 422),
        ("POST", "/evses/nobody/stop", None, 404),
        ("GET", "/sessions?from=yesterday", None, 422),
        ("GET", "/sessions/nothing", None, 404),
    ],
)
async def test_every_error_is_a_problem_document(
    tmp_path: Path, method: str, path: str, body: bytes | None, status: int
) -> None:
    async with running(tmp_path) as api:
        answer = await api.client.request(method, path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "problems"} == set(answer.json())


async def test_without_a_good_token_nothing_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
            for path in ("/site", "/evses", "/sessions.csv", "/events"):
                answer = await api.client.get(path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/metrics", "/setup"):
            open_url = f"http://127.0.0.1:{api.port}{path}"
            answer = await api.client.get(open_url, headers={"Authorization": ""})
            assert answer.status_code == 200, path


async def test_the_setup_code_is_exchanged_once_for_a_token(
    tmp_path: Path, database_url: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, database_url, admin_token=None) as api:
        printed = re.search(r"/setup#code=(\S+)", capsys.readouterr().err)
        assert printed is not None
        params = {"code": printed[1]}
        token = (await api.client.post("/setup", params=params)).json()["token"]
        assert (await api.client.post("/setup", params=params)).status_code == 403
        headers = {"Authorization": f"Bearer {token}"}
        assert (await api.client.get("/site", headers=headers)).status_code == 200
    async with running(tmp_path, database_url, admin_token=None) as api:
        assert "/setup#" not in capsys.readouterr().err
        assert (await api.client.get("/site", headers=headers)).status_code == 200


async def test_an_unused_setup_link_is_printed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = []
    for _ in range(2):
        async with running(tmp_path, admin_token=None):
            codes += re.findall(r"/setup#code=(\S+)", capsys.readouterr().err)
    assert len(set(codes)) == 2


async def test_stations_are_listed_by_how_they_are_connected(api: RunningApi) -> None:
    await api.put_site()

    async def ids(state: str) -> list[str]:
        answer = await api.client.get("/stations", params={"state": state})
        return [station["id"] for station in answer.json()]

    await _publish(
        api,
        StationConnected(station_id="BOX-1", epoch=5, protocol="ocpp", connected_at=NOW),
        StationConnected(
            station_id="stranger", epoch=1, protocol="ocpp", connected_at=NOW, known=False
        ),
        StationRefused(
            station_id="Box-7",
            refused_at=NOW,
            peer="10.0.0.7",
            reason=RefusalReason.PASSWORD,
            detail="set the password",
        ),
    )
    await eventually(lambda: _equals(ids("refused"), ["Box-7"]))
    assert await ids("connected") == ["Box-1"]
    assert await ids("unknown") == ["stranger"]
    assert await ids("offline") == ["Box-2"]
    await _publish(api, StationDisconnected(station_id="Box-1", epoch=5, disconnected_at=NOW))
    await eventually(lambda: _equals(ids("offline"), ["Box-1", "Box-2"]))


async def test_an_evse_shows_configuration_present_reason_and_station(api: RunningApi) -> None:
    await api.put_site()
    reason = Reason(code=ReasonCode.CIRCUIT, circuit="row")
    offer = Offer(evse_id="bay/1", limit_a=13.5, reserved_a=13.5, reason=reason)
    await _publish(
        api,
        StationConnected(station_id="Box-1", epoch=5, protocol="ocpp", connected_at=NOW),
        StationBooted(station_id="Box-1", epoch=5, booted_at=NOW, vendor="ACME", model="Wall 11"),
        _observed("bay/1", EvseState.C),
        OffersDecided(decided_at=NOW, offers=(offer,), circuits=()),
        _started("s1", NOW),
    )

    async def live() -> Any:
        body = (await api.client.get("/evses")).json()[0]["live"]
        return body if body["session"] else None

    shown = await eventually(live)
    assert (shown["state"], shown["online"], shown["offered_a"]) == ("C", True, 13.5)
    reason = {"code": "circuit", "circuit": "row", "group": None, "phase": None, "source": None}
    assert shown["reason"] == reason
    assert (shown["station"]["vendor"], shown["station"]["model"]) == ("ACME", "Wall 11")
    assert shown["session"]["session_id"] == "s1"


async def test_a_call_passes_the_body_as_it_is_and_returns_the_answer_as_it_is(
    api: RunningApi,
) -> None:
    await api.put_site()
    asked: list[CallStation] = []

    async def answer(delivery: Delivery[CallStation]) -> CallOutcome:
        asked.append(delivery.message)
        text = '{"status": "Accepted",  "big": 12345678901234567890.10}'
        return CallOutcome(outcome=CallResult.ANSWERED, payload=json.loads(text), payload_text=text)

    inbox = await api.bus.inbox(_never_evicted)
    inbox.on(CallStation, answer)
    await inbox.own(station_address("Box-1"), 1)
    body = '{"type" : "Soft", "extra": 1.10}'
    got = await api.client.post("/stations/box-1/calls/Reset?timeout=3", content=body)
    assert (asked[0].station_id, asked[0].action, asked[0].timeout_s) == ("Box-1", "Reset", 3)
    assert asked[0].payload_text == body
    assert got.json()["outcome"] == "answered"
    assert '{"status": "Accepted",  "big": 12345678901234567890.10}' in got.text


async def test_a_call_to_an_absent_station_is_offline_and_to_a_stranger_not_found(
    api: RunningApi,
) -> None:
    await api.put_site()
    absent = await api.client.post("/stations/Box-1/calls/Reset", content="{}")
    assert (absent.status_code, absent.json()["outcome"]) == (200, "offline")
    stranger = await api.client.post("/stations/nobody/calls/Reset", content="{}")
    assert stranger.status_code == 404


async def test_an_operator_starts_and_unlocks(api: RunningApi) -> None:
    await api.put_site()

    async def start(delivery: Delivery[StartCharging]) -> ActionOutcome:
        order = delivery.message
        return ActionOutcome(done=True, detail=f"{order.connector} for {order.token}")

    async def unlock(delivery: Delivery[CallStation]) -> CallOutcome:
        fits = (delivery.message.action, delivery.message.payload_text)
        assert fits == ("UnlockConnector", '{"connectorId":1}')
        return CallOutcome(outcome=CallResult.ANSWERED, payload={"status": "UnlockFailed"})

    inbox = await api.bus.inbox(_never_evicted)
    inbox.on(StartCharging, start)
    inbox.on(CallStation, unlock)
    await inbox.own(station_address("Box-1"), 1)
    started = await api.client.post("/evses/bay/1/start", json={"token": "card"})
    assert started.json() == {"outcome": "done", "detail": "1 for card"}
    unlocked = await api.client.post("/evses/bay/1/unlock")
    assert unlocked.json() == {"outcome": "refused", "detail": "UnlockFailed"}
    assert (await api.client.post("/evses/bay/2/unlock")).status_code == 409
    assert (await api.client.post("/evses/bay/2/stop")).json()["outcome"] == "offline"


async def test_sessions_are_counted_once_whatever_is_repeated_or_late(api: RunningApi) -> None:
    await api.put_site()
    late_end = SessionEnded(
        session_id="s0",
        evse_id="bay/1",
        station_id="Box-1",
        connector=1,
        ended_at=NOW - timedelta(hours=2),
        energy_stop_wh=4000,
        reason="Local",
    )
    await api.bus.publish(late_end)
    for fact in (
        _started("s0", NOW - timedelta(hours=3)),
        _started("s1", NOW),
        _started("s1", NOW),
    ):
        await api.bus.publish(fact)
    await api.bus.publish(_started("s2", NOW + timedelta(hours=1)))
    page = (await api.client.get("/sessions")).json()
    assert page["total"] == 3
    by_id = {item["session_id"]: item for item in page["items"]}
    assert by_id["s0"]["energy_wh"] == 3000
    assert (by_id["s1"]["reason"], by_id["s1"]["ended_at"]) == (
        "superseded",
        "2026-03-01T13:00:00Z",
    )
    assert by_id["s2"]["ended_at"] is None
    assert [item["session_id"] for item in page["items"]] == ["s2", "s1", "s0"]


async def test_sessions_are_filtered_paged_and_downloaded(api: RunningApi) -> None:
    await api.put_site()
    for number in range(5):
        fact = _started(f"s{number}", NOW + timedelta(hours=number), token="=HYPERLINK(1)")
        await api.bus.publish(fact)
    params: dict[str, Any] = {"from": "2026-03-01T13:00:00Z", "to": "2026-03-01T16:00:00Z"}
    page = (await api.client.get("/sessions", params=params | {"limit": 2, "offset": 1})).json()
    assert (page["total"], [item["session_id"] for item in page["items"]]) == (3, ["s2", "s1"])
    none = (await api.client.get("/sessions", params={"evse": "bay/2"})).json()
    assert none["total"] == 0
    lines = (await api.client.get("/sessions.csv", params=params)).text.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("session_id,evse_id")
    assert ",'=HYPERLINK(1)," in lines[1]
    assert (await api.client.get("/sessions/s3")).json()["token"] == "=HYPERLINK(1)"


async def test_open_sessions_are_known_again_after_a_restart(
    tmp_path: Path, database_url: str | None
) -> None:
    async with running(tmp_path, database_url) as first:
        await first.put_site()
        await first.bus.publish(_started("s1", NOW))
    async with running(tmp_path, database_url) as second:
        live = (await second.client.get("/evses/bay/1")).json()["live"]
        assert live["session"]["session_id"] == "s1"


async def test_history_keeps_samples_and_thins_them(api: RunningApi) -> None:
    await api.put_site()
    start = SYSTEM_CLOCK.now() - timedelta(hours=1)
    for number in range(30):
        seen_at = start + timedelta(seconds=10 * number)
        await api.bus.publish(_observed("bay/1", EvseState.C, seen_at))
    params: dict[str, Any] = {"from": start.isoformat(), "ids": "bay/1", "limit": 10}

    async def points() -> Any:
        series = (await api.client.get("/history", params=params)).json()["series"]
        return series[0]["points"] if len(series) == 1 else None

    last = seen_at.isoformat().replace("+00:00", "Z")
    found = await eventually(
        lambda: _last_point(points, last), within_s=15, claim="history is written"
    )
    assert len(found) == 10
    assert found[0]["current_a"] == {"l1": 10.0, "l2": 10.0, "l3": None}


async def test_events_stream_by_topic(api: RunningApi) -> None:
    params = {"topics": "alarm.*", "access_token": TOKEN}
    anonymous = {"Authorization": ""}
    async with api.client.stream("GET", "/events", params=params, headers=anonymous) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith(":")
        await _publish(api, _observed("bay/1", EvseState.B), _alarm(active=True))
        data = await _first_data(lines)
    assert (data["topic"], data["data"]["alarm_id"]) == ("alarm.changed.v1", "meter-silent/m1")
    assert "time" in data


async def test_streamed_sites_hide_secrets(api: RunningApi) -> None:
    async with api.client.stream("GET", "/events", params={"topics": "site.*"}) as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        await api.client.put("/ocpp-server", json={"password": "for all boxes"})
        data = await _first_data(lines)
    assert data["data"]["site"]["ocpp_server"]["password_hash"] == "***"


async def test_the_live_view_begins_with_a_snapshot_and_tells_changes(api: RunningApi) -> None:
    await api.put_site()
    url = f"ws://127.0.0.1:{api.port}/api/v1/live?access_token={TOKEN}"
    async with websockets.connect(url) as socket:
        first = json.loads(await socket.recv())
        assert first["type"] == "snapshot"
        assert [evse["evse_id"] for evse in first["evses"]] == ["bay/1", "bay/2"]
        await _publish(api, _observed("bay/1", EvseState.B))
        changes = json.loads(await socket.recv())
    assert changes["type"] == "changes"
    item = changes["items"][0]
    assert (item["kind"], item["id"], item["value"]["state"]) == ("evse", "bay/1", "B")


async def test_the_live_view_is_closed_to_strangers(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(f"ws://127.0.0.1:{api.port}/api/v1/live")
    assert refusal.value.response.status_code == 401


async def test_alarms_come_and_go(api: RunningApi) -> None:
    async def alarms() -> list[str]:
        return [alarm["alarm_id"] for alarm in (await api.client.get("/alarms")).json()]

    await _publish(api, _alarm(active=True))
    await eventually(lambda: _equals(alarms(), ["meter-silent/m1"]))
    await _publish(api, _alarm(active=False))
    await eventually(lambda: _equals(alarms(), []))


async def test_facts_are_requested_at_start(tmp_path: Path) -> None:
    hub = MemoryBus(services=frozenset({"api"}))
    asked: list[str] = []

    async def heard(delivery: Delivery[FactsRequested]) -> None:
        asked.append(delivery.message.asker)

    others, bus, health = hub.join("others"), hub.join("api"), Health()
    await others.listen([FactsRequested], heard)
    settings = ApiSettings(admin_token=TOKEN, http_port=0, data_dir=tmp_path, _env_file=None)
    service = asyncio.create_task(run(settings, bus, clock=SYSTEM_CLOCK, health=health))
    await eventually(lambda: asked == [bus.instance])
    await eventually(lambda: health.is_ready)
    service.cancel()
    await asyncio.gather(service, return_exceptions=True)
    await bus.close()
    await others.close()


async def test_the_first_start_takes_a_prepared_site_over(
    tmp_path: Path, database_url: str | None
) -> None:
    example = Path("examples/garage-40-bays.yaml").resolve()
    async with running(tmp_path, database_url, site_file=example) as api:
        assert len((await api.current()).evses) == 40


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("circuits: ]", "line 1, column 11"),
        ("circuits: [{id: a, limit_a: 1, parent: b}]", r"circuits\[a\].parent"),
        ("nane: x", "nane: there is no such setting"),
    ],
)
async def test_a_prepared_site_that_cannot_work_stops_the_start(
    tmp_path: Path, text: str, where: str
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"(?s)site.yaml.*{where}"):
        async with running(tmp_path, site_file=file):
            pass


async def test_openapi_describes_every_route_with_tag_and_summary(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        answer = await api.client.get(f"http://127.0.0.1:{api.port}/openapi.json")
    for path, operations in answer.json()["paths"].items():
        for method, operation in operations.items():
            assert operation.get("tags"), (method, path)
            assert operation.get("summary"), (method, path)


async def test_openapi_refers_to_nothing_that_it_does_not_describe(tmp_path: Path) -> None:
    async with running(tmp_path) as api:
        answer = await api.client.get(f"http://127.0.0.1:{api.port}/openapi.json")
    referred = set(re.findall(r'"\$ref":\s*"([^"]+)"', answer.text))
    described = {f"#/components/schemas/{name}" for name in answer.json()["components"]["schemas"]}
    assert "#/components/schemas/SiteConfig" in referred
    assert referred <= described


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_documentation_needs_no_internet(tmp_path: Path, page: str) -> None:
    async with running(tmp_path) as api:
        base = f"http://127.0.0.1:{api.port}"
        text = (await api.client.get(base + page)).text
        loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert any(path.endswith(".js") for path in loaded)
        for path in loaded:
            assert path.startswith("/"), path
            assert (await api.client.get(base + path)).status_code == 200, path
    assert "://" not in text


async def _answers(api: RunningApi) -> bool:
    try:
        return len((await api.current()).tokens) == 8
    except Unroutable:
        return False


async def _publish(api: RunningApi, *events: Event) -> None:
    for event in events:
        await api.bus.publish(event)


async def _equals(found: Any, wanted: Any) -> bool:
    return bool(await found == wanted)


async def _last_point(points: Any, at: str) -> Any:
    found = await points()
    return found if found and found[-1]["at"] == at else None


async def _first_data(lines: AsyncIterator[str]) -> Any:
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended")


async def _never_evicted(*_: object) -> None:
    raise AssertionError("nobody else takes this address")


def _observed(evse_id: str, state: EvseState, at: datetime = NOW) -> EvseObserved:
    return EvseObserved(
        evse_id=evse_id,
        station_id="Box-1",
        connector=1,
        epoch=5,
        observed_at=at,
        online=True,
        state=state,
        current_a={"l1": 10.0, "l2": 10.0},
    )


def _started(session_id: str, at: datetime, token: str = "card") -> SessionStarted:
    return SessionStarted(
        session_id=session_id,
        evse_id="bay/1",
        station_id="Box-1",
        connector=1,
        started_at=at,
        token=token,
        energy_start_wh=1000,
    )


def _alarm(*, active: bool) -> AlarmChanged:
    return AlarmChanged(
        alarm_id="meter-silent/m1",
        active=active,
        severity=Severity.WARNING,
        text="the meter is silent",
        changed_at=NOW,
    )
