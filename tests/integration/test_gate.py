"""Who gets in: the api and the OCPP server together, stations over real sockets."""

import asyncio
import base64
import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from api import service as api_service
from api.settings import ApiSettings
from ocpp_server import service as ocpp_service
from ocpp_server.registry import Registry
from ocpp_server.settings import OcppServerSettings
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.clock import SYSTEM_CLOCK
from shared.contracts.station import FactsRequested, StationConnected
from shared.health import Health
from shared.server_certificate import ensure_server_certificates
from tests.conditions import eventually
from tests.proxied import proxied_socket

TOKEN = "a-token-for-these-tests"
ROOT = Path(__file__).parents[2]
BOOT = {"chargePointVendor": "Maker", "chargePointModel": "Box"}


@cache
def tls_folder() -> tempfile.TemporaryDirectory[str]:
    """Keys take a second to make, so all tests share them."""
    folder = tempfile.TemporaryDirectory()
    ensure_server_certificates(Path(folder.name) / "tls", now=SYSTEM_CLOCK.now())
    return folder


@dataclass
class Garage:
    """Both services, and a client of the api."""

    folder: Path
    hub: MemoryBus
    client: httpx.AsyncClient
    port: int

    async def configure(
        self, *stations: dict[str, Any], server: dict[str, Any] | None = None, connector: int = 1
    ) -> None:
        """Put a site with some stations into force, each with one EVSE."""
        answer = await self.client.put(
            "/site",
            json={
                "circuits": [{"id": "main", "limit_a": 63}],
                "ocpp_server": {"call_timeout_s": 1, **(server or {})},
                "stations": [{"protocol": "ocpp", **one} for one in stations],
                "evses": [
                    {
                        "id": f"e-{o['id']}",
                        "station": o["id"],
                        "circuit": "main",
                        "connector": connector,
                    }
                    for o in stations
                ],
            },
        )
        assert answer.status_code == 200, answer.text
        revision = answer.json()["revision"]
        await eventually(lambda: self.seen_revision >= revision, claim="the OCPP server has it")

    @property
    def seen_revision(self) -> int:
        """The site that the OCPP server works with."""
        return REVISIONS[-1] if REVISIONS else 0

    async def hub_asks_for_facts(self) -> None:
        """Have everybody tell again, as when another replica of the api starts."""
        asker = self.hub.join("asker")
        heard: list[StationConnected] = []

        async def hear(delivery: Delivery[StationConnected]) -> None:
            heard.append(delivery.message)

        await asker.listen([StationConnected], hear)
        await asker.publish(FactsRequested(asker=asker.instance))
        await eventually(lambda: heard)
        assert not heard[0].used_next_password
        await asker.close()

    async def stored(self, station_id: str = "BOX") -> dict[str, Any]:
        site = (await self.client.get("/site")).json()
        found: dict[str, Any] = next(s for s in site["stations"] if s["id"] == station_id)
        return found

    async def view(self, station_id: str = "BOX") -> Any:
        answer = await self.client.get(f"/stations/{station_id}")
        return answer.json() if answer.status_code == 200 else {}

    async def refused(self) -> list[Any]:
        found: list[Any] = (await self.client.get("/stations?state=refused")).json()
        return found

    async def is_here(self, station_id: str = "BOX") -> bool:
        live = (await self.view(station_id)).get("live")
        return bool(live and live["online"])


REVISIONS: list[int] = []


@pytest.fixture(autouse=True)
def watched_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests know which site the OCPP server works with."""
    REVISIONS.clear()
    original = Registry.site_changed

    def watched(self: Registry, site: Any) -> None:
        original(self, site)
        REVISIONS.append(site.revision)

    monkeypatch.setattr(Registry, "site_changed", watched)


@asynccontextmanager
async def service(coroutine: Any, health: Health) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine)
    try:
        await eventually(lambda: health.is_ready or task.done(), within_s=30)
        if task.done():
            await task
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def port_of(health: Health, part: str) -> int:
    return int(health.reports[part].detail.split()[1])


@asynccontextmanager
async def garage(folder: Path, **settings: Any) -> AsyncIterator[Garage]:
    hub = MemoryBus(services=frozenset({"api"}))
    async with AsyncExitStack() as stack:
        buses = [hub.join(name) for name in ("api", "ocpp-server")]
        for bus in buses:
            stack.push_async_callback(bus.close)
        api_health, ocpp_health = Health(), Health()
        values: dict[str, Any] = {"admin_token": TOKEN, "http_port": 0, "data_dir": folder}
        api = api_service.run(
            ApiSettings(_env_file=None, **values), buses[0], clock=SYSTEM_CLOCK, health=api_health
        )
        await stack.enter_async_context(service(api, api_health))
        if not (folder / "tls").exists():
            shutil.copytree(Path(tls_folder().name) / "tls", folder / "tls")
        values = {"ocpp_port": 0, "ocpp_host": "127.0.0.1", "data_dir": folder, **settings}
        ocpp = ocpp_service.run(
            OcppServerSettings(_env_file=None, **values), buses[1], health=ocpp_health
        )
        await stack.enter_async_context(service(ocpp, ocpp_health))
        base = f"http://127.0.0.1:{port_of(api_health, 'http')}/api/v1"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        client = httpx.AsyncClient(base_url=base, headers=headers, timeout=20)
        await stack.enter_async_context(client)
        yield Garage(folder, hub, client, port_of(ocpp_health, "ocpp-server"))


@dataclass
class Box:
    """A charge point that answers what it is asked, as told."""

    client: ClientConnection
    calls: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """Action -> payload, or None to be silent; else Accepted."""
    replies: list[Any] = field(default_factory=list)

    async def run(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.client:
                frame = json.loads(text)
                if frame[0] != 2:
                    self.replies.append(frame)
                    continue
                self.calls.append((frame[2], frame[3]))
                answer = self.answers.get(frame[2], {"status": "Accepted"})
                if isinstance(answer, str):
                    await self.client.send(json.dumps([4, frame[1], answer, "", {}]))
                elif answer is not None:
                    await self.client.send(json.dumps([3, frame[1], answer]))

    def told(self, key: str) -> list[str]:
        """Return the values that a key was set to."""
        changes = [payload for action, payload in self.calls if action == "ChangeConfiguration"]
        return [change["value"] for change in changes if change["key"] == key]

    def was_called(self, action: str) -> list[Any]:
        return [payload for name, payload in self.calls if name == action]


@asynccontextmanager
async def box(
    port: int,
    identity: str = "BOX",
    *,
    password: str | bytes | None = None,
    user: str | None = None,
    tls: bool = False,
    source: str | None = None,
    answers: dict[str, Any] | None = None,
    subprotocols: tuple[str, ...] = ("ocpp1.6",),
) -> AsyncIterator[Box]:
    options: dict[str, Any] = {}
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        options["ssl"] = context
    if source is not None:
        options["sock"] = await proxied_socket(port, source)
    if password is not None:
        options["additional_headers"] = {"Authorization": basic(user or identity, password)}
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/{identity}"
    offered = [Subprotocol(name) for name in subprotocols] or None
    async with connect(url, subprotocols=offered, proxy=None, **options) as client:
        made = Box(client, answers=answers or {})
        running = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            await client.close()
            await running


def basic(user: str, password: str | bytes) -> str:
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()


async def status(port: int, identity: str = "BOX", **how: Any) -> int:
    """Try to connect; return 101 or the status of the refusal."""
    try:
        async with box(port, identity, **how):
            return 101
    except InvalidStatus as error:
        return int(error.response.status_code)


class TestPasswords:
    """A01, OCA case 073."""

    async def test_a_new_password_replaces_the_old_one(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "typed by somebody"})
            async with box(site.port, password="typed by somebody") as station:
                await eventually(site.is_here)
                answer = (await site.client.post("/stations/BOX/password")).json()
                (key,) = station.told("AuthorizationKey")
            assert answer == {
                "outcome": "answered",
                "status": "Accepted",
                "in_force": True,
                "pending": False,
                "detail": "",
            }
            assert len(bytes.fromhex(key)) == 20
            await eventually(lambda: site.seen_revision >= 4)
            assert await status(site.port, password="typed by somebody") == 401
            assert await status(site.port, password=key) == 101, "as text"
            assert await status(site.port, password=bytes.fromhex(key)) == 101, "as bytes"
            assert await status(site.port, password=bytes.fromhex(key), user="OTHER") == 401
            shown = await site.stored()
            assert (shown["password_hash"], shown["next_password_hash"]) == ("***", None)

    async def test_a_given_password_is_sent_as_it_is(self, tmp_path: Path) -> None:
        wanted = "00112233445566778899AABBCCDDEEFF"
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"})
            async with box(site.port) as station:
                await eventually(site.is_here)
                for wrong in ("xyz", "00" * 15, "00" * 21, "0" * 33):
                    answer = await site.client.post(
                        "/stations/BOX/password", json={"password": wrong}
                    )
                    assert answer.status_code == 422, wrong
                await site.client.post("/stations/BOX/password", json={"password": wanted})
                assert [key.upper() for key in station.told("AuthorizationKey")] == [wanted]
            await eventually(lambda: site.seen_revision >= 4)
            assert await status(site.port) == 401
            assert await status(site.port, password=bytes.fromhex(wanted)) == 101
            assert await status(site.port, password=wanted) == 101

    @pytest.mark.parametrize("answer", [{"status": "Rejected"}, {"status": "NotSupported"}, "X"])
    async def test_a_station_that_does_not_take_it_keeps_the_old_one(
        self, tmp_path: Path, answer: Any
    ) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "old"})
            answers = {"ChangeConfiguration": answer}
            async with box(site.port, password="old", answers=answers) as station:
                await eventually(site.is_here)
                said = (await site.client.post("/stations/BOX/password")).json()
                (key,) = station.told("AuthorizationKey")
            assert (said["in_force"], said["pending"]) == (False, False)
            assert (await site.stored())["next_password_hash"] is None
            await eventually(lambda: site.seen_revision >= 4)
            assert await status(site.port, password=key) == 401
            assert await status(site.port, password="old") == 101

    async def test_without_an_answer_either_is_good_until_the_new_one_is_used(
        self, tmp_path: Path
    ) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "old"})
            answers = {"ChangeConfiguration": None}
            async with box(site.port, password="old", answers=answers) as station:
                await eventually(site.is_here)
                said = (await site.client.post("/stations/BOX/password")).json()
                (key,) = station.told("AuthorizationKey")
            assert (said["outcome"], said["pending"]) == ("timeout", True)
            assert (await site.stored())["next_password_hash"] == "***"
            assert await status(site.port, password="old") == 101
            async with box(site.port, password=bytes.fromhex(key)):
                await eventually(lambda: _is_settled(site), claim="the new one is in force")
            await eventually(lambda: site.seen_revision >= 4)
            assert await status(site.port, password="old") == 401
            assert await status(site.port, password=bytes.fromhex(key)) == 101

    async def test_a_connection_of_an_earlier_password_settles_no_later_one(
        self, tmp_path: Path
    ) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "old"})
            silent = {"ChangeConfiguration": None}
            async with box(site.port, password="old", answers=silent) as station:
                await eventually(site.is_here)
                await site.client.post("/stations/BOX/password")
                (first,) = station.told("AuthorizationKey")
            async with box(site.port, password=first, answers=silent) as station:
                await eventually(lambda: _is_settled(site))
                await site.client.post("/stations/BOX/password")
                (second,) = station.told("AuthorizationKey")
                await site.hub_asks_for_facts()
                assert (await site.stored())["next_password_hash"] == "***"
            assert await status(site.port, password=first) == 101, "it may not have got the second"
            assert await status(site.port, password=second) == 101

    async def test_nothing_is_given_to_a_station_that_is_not_here(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "old"})
            answer = await site.client.post("/stations/BOX/password")
            assert (answer.status_code, (await site.stored())["next_password_hash"]) == (409, None)
            assert (await site.client.post("/stations/NONE/password")).status_code == 404

    async def test_the_password_is_in_no_log(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"})
            async with box(site.port) as station:
                await eventually(site.is_here)
                await site.client.post("/stations/BOX/password")
                (key,) = station.told("AuthorizationKey")
                messages = await eventually(lambda: _logged(site, "AuthorizationKey"))
            assert key not in messages
            ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets")]
            assert not [line for line in ours if key in line]


async def _is_settled(site: Garage) -> bool:
    return bool((await site.stored())["next_password_hash"] is None)


async def _logged(site: Garage, word: str) -> str | None:
    text = (await site.client.get("/stations/BOX/messages")).text
    return text if word in text else None


class TestProfiles:
    """A05, OCA case 083."""

    async def test_a_higher_profile_is_told_used_and_demanded_from_then_on(
        self, tmp_path: Path
    ) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "pw", "security_profile": 1})
            async with box(site.port, password="pw") as station:
                await eventually(site.is_here)
                said = await site.client.post("/stations/BOX/security-profile", json={"profile": 2})
                assert said.json()["pending"], said.text
                assert station.told("SecurityProfile") == ["2"]
                assert station.was_called("Reset") == [{"type": "Hard"}]
                actions = [action for action, _ in station.calls]
                assert actions.index("Reset") > actions.index("ChangeConfiguration")
            assert await status(site.port, password="pw") == 101, "it may fall back"
            assert (await site.stored())["security_profile"] == 1
            async with box(site.port, password="pw", tls=True):
                await eventually(lambda: _uses(site, 2), claim="profile 2 is in force")
            await eventually(lambda: site.seen_revision >= 4)
            assert await status(site.port, password="pw") == 403
            assert await status(site.port, password="pw", tls=True) == 101
            assert await status(site.port, password="no", tls=True) == 401

    async def test_a_station_that_refuses_stays_as_it_is(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "pw"})
            answers = {"ChangeConfiguration": {"status": "Rejected"}}
            async with box(site.port, password="pw", answers=answers) as station:
                await eventually(site.is_here)
                said = await site.client.post("/stations/BOX/security-profile", json={"profile": 2})
                assert (said.json()["status"], said.json()["pending"]) == ("Rejected", False)
                assert station.was_called("Reset") == []
            assert (await site.stored())["next_security_profile"] is None

    async def test_what_is_missing_is_said_and_nothing_is_sent(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"}, server={"tls": "off"})
            answers = {"GetInstalledCertificateIds": {"status": "NotFound"}}
            async with box(site.port, answers=answers) as station:
                await eventually(site.is_here)
                said = await site.client.post("/stations/BOX/security-profile", json={"profile": 2})
                assert said.status_code == 409
                text = " ".join(problem["message"] for problem in said.json()["problems"])
                assert all(word in text for word in ("password first", "no TLS", "trusts no root"))
                assert station.told("SecurityProfile") == []
                for wrong in (0, 4, "x"):
                    said = await site.client.post(
                        "/stations/BOX/security-profile", json={"profile": wrong}
                    )
                    assert said.status_code == 422

    async def test_a_client_certificate_is_asked_for(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"})
            async with box(site.port) as station:
                await eventually(site.is_here)
                said = await site.client.post("/stations/BOX/client-certificate")
                assert said.json()["payload"] == {"status": "Accepted"}
                assert station.was_called("ExtendedTriggerMessage") == [
                    {"requestedMessage": "SignChargePointCertificate"}
                ]


async def _uses(site: Garage, profile: int) -> bool:
    shown = await site.stored()
    return (shown["security_profile"], shown["next_security_profile"]) == (profile, None)


class TestRefusals:
    """Every refusal is kept with what was presented, until the station comes in."""

    async def test_refusals_are_shown_counted_kept_and_settled(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX", "password": "pw"}, {"id": "TWO", "password": "pw"})
            for number in range(3):
                assert await status(site.port, password=f"wrong{number}") == 401
            assert await status(site.port, "TWO", password="pw", user="me") == 401
            assert await status(site.port, "TWO", subprotocols=("ocpp0.1",)) == 400
            shown = await eventually(lambda: _all_refused(site, 3))
            by_key = {(one["id"], one["refusal_reason"]): one for one in shown}
            wrong = by_key["BOX", "password"]
            assert (wrong["refusals"], wrong["path"], wrong["user"]) == (3, "/BOX", "BOX")
            assert wrong["first_refused_at"] < wrong["refused_at"]
            assert wrong["subprotocols"] == ["ocpp1.6"]
            assert wrong["peer"].startswith("127.0.0.1:")
            assert by_key["TWO", "password"]["user"] == "me"
            assert "user name 'me'" in by_key["TWO", "password"]["refusal"]
            assert by_key["TWO", "subprotocol"]["subprotocols"] == ["ocpp0.1"]
        async with garage(tmp_path) as again:
            assert len(await again.refused()) == 3, "they outlast a restart"
            async with box(again.port, "TWO", password="pw"):
                left = await eventually(lambda: _all_refused(again, 1))
            assert [one["id"] for one in left] == ["BOX"]
        async with garage(tmp_path) as once_more:
            assert [one["id"] for one in await once_more.refused()] == ["BOX"]

    async def test_tls_that_could_not_be_made_is_told_with_its_alert(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"})
            context = ssl.create_default_context()
            with pytest.raises(ssl.SSLError):
                await connect(f"wss://127.0.0.1:{site.port}/BOX", ssl=context, proxy=None)
            (shown,) = await eventually(lambda: _all_refused(site, 1))
            assert (shown["refusal_reason"], shown["tls"]) == ("tls", True)
            assert shown["tls_alert"]

    async def test_what_is_odd_about_a_station_is_said(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"}, connector=2)
            configuration = {
                "configurationKey": [{"key": "NumberOfConnectors", "readonly": True, "value": "1"}]
            }
            answers = {"GetConfiguration": configuration}
            async with box(site.port, subprotocols=(), answers=answers) as station:
                await station.client.send(json.dumps([2, "1", "BootNotification", BOOT]))
                await eventually(lambda: _is_said(site, "offers no sub-protocol"))
                await eventually(lambda: _is_said(site, "'e-BOX' is its connector 2"), within_s=20)
            async with box(site.port, "STRANGER"):
                await eventually(lambda: site.is_here("STRANGER"))
                view = await site.view("STRANGER")
            assert view["state"] == "unknown"
            assert "'STRANGER' is configured" in view["oddities"][0]


async def _all_refused(site: Garage, count: int) -> list[Any] | None:
    found = await site.refused()
    is_counted = all(one["refusals"] for one in found)
    if len(found) != count or not is_counted:
        return None
    wrong = [one for one in found if one["id"] == "BOX" and one["refusal_reason"] == "password"]
    return found if all(one["refusals"] >= 3 for one in wrong) else None


async def _is_said(site: Garage, words: str) -> bool:
    return any(words in sentence for sentence in (await site.view())["oddities"])


BEHIND_PROXY = {"ocpp_proxies": "127.0.0.0/8"}


class TestRates:
    """Limits are those of the station's own address."""

    async def test_connections_are_limited_for_each_address(self, tmp_path: Path) -> None:
        async with garage(tmp_path, **BEHIND_PROXY) as site:
            await site.configure({"id": "BOX"}, server={"handshakes_per_minute": 3})
            found = [await status(site.port, source="203.0.113.7") for _ in range(4)]
            assert found == [101, 101, 101, 429]
            assert await status(site.port, source="203.0.113.8") == 101
            assert {await status(site.port) for _ in range(6)} == {101}, (
                "this machine is not limited"
            )
            shown = await eventually(lambda: _refused_for(site, "rate"))
            assert shown["peer"] == "203.0.113.7:4711"
            assert (shown["id"], shown["path"]) == ("BOX", "/BOX")

    async def test_who_guesses_passwords_has_to_wait(self, tmp_path: Path) -> None:
        async with garage(tmp_path, **BEHIND_PROXY) as site:
            await site.configure(
                {"id": "BOX", "password": "pw"}, server={"failed_passwords_per_minute": 2}
            )
            evil = "203.0.113.7"
            assert await status(site.port, password="pw", source=evil) == 101
            tried = [await status(site.port, password=f"g{n}", source=evil) for n in range(3)]
            assert tried == [401, 401, 429]
            with pytest.raises(InvalidStatus) as refused:
                await box(site.port, password="g9", source=evil).__aenter__()
            assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 30
            assert await status(site.port, password="pw", source=evil) == 101, "it was good before"
            assert await status(site.port, password="g", source="203.0.113.8") == 401

    @pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
    async def test_haproxy_as_it_is_deployed_tells_where_stations_come_from(
        self, tmp_path: Path
    ) -> None:
        async with garage(tmp_path, **BEHIND_PROXY) as site:
            await site.configure({"id": "BOX"})
            with balancer(tmp_path, site.port) as (front, health):
                await eventually(lambda: _is_healthy(health), within_s=20)
                for tls in (False, True):
                    async with box(front, tls=tls) as station:
                        host, port = station.client.local_address[:2]
                        await eventually(partial(_comes_from, site, f"{host}:{port}"))
                await asyncio.sleep(2.5)  # another health check
                assert await asyncio.to_thread(_get, health) == 200
            assert await site.refused() == []


async def _refused_for(site: Garage, reason: str) -> Any:
    found = await site.refused()
    return next((one for one in found if one["refusal_reason"] == reason), None)


async def _comes_from(site: Garage, peer: str) -> bool:
    live = (await site.view()).get("live")
    return bool(live and live["online"] and live["peer"] == peer)


def _get(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code
    except httpx.TransportError:
        return 0


async def _is_healthy(port: int) -> bool:
    return await asyncio.to_thread(_get, port) == 200


@contextlib.contextmanager
def balancer(folder: Path, ocpp_port: int) -> Any:
    """Run HAProxy with the deployed configuration; only ports and the server's place differ."""
    front, health = _free_port(), _free_port()
    text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    changes = {
        "bind :19520": f"bind 127.0.0.1:{front}",
        "bind 127.0.0.1:8404": f"bind 127.0.0.1:{health}",
        "server-template ocpp-server 8 ocpp-server:19520 resolvers docker resolve-prefer ipv4 "
        "init-addr none": f"server one 127.0.0.1:{ocpp_port}",
        "fd-hard-limit 50000": "fd-hard-limit 1000",
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=log, stderr=log)
        try:
            yield front, health
        finally:
            process.terminate()
            process.wait(15)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestHostileFrames:
    """What no station sends is answered by the rules, and harms nobody beside it."""

    async def test_json_that_costs_too_much_is_answered_and_the_station_stays(
        self, tmp_path: Path
    ) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"}, {"id": "TWO"})
            async with box(site.port) as hostile, box(site.port, "TWO") as bystander:
                for number, data in enumerate(
                    ("[" * 600_000, "[" + "1," * 600_000 + "1]", "[" * 900)
                ):
                    text = f'[2,"evil{number}","DataTransfer",{{"vendorId":"v","data":{data}}}]'
                    await hostile.client.send(text)
                await hostile.client.send("[" * 600_000)
                await hostile.client.send(json.dumps([2, "good", "Heartbeat", {}]))
                await bystander.client.send(json.dumps([2, "good", "Heartbeat", {}]))
                await eventually(lambda: len(hostile.replies) == 4)
                await eventually(lambda: bystander.replies)
            codes = {reply[1]: (reply[0], reply[2]) for reply in hostile.replies}
            assert [codes.get(f"evil{n}") for n in range(3)] == [(4, "FormationViolation")] * 3
            assert codes["good"][0] == 3

    async def test_strangers_may_send_less_than_stations(self, tmp_path: Path) -> None:
        async with garage(tmp_path) as site:
            await site.configure({"id": "BOX"}, server={"frame_limit_bytes": 1 << 20})
            data = {"vendorId": "v", "data": "x" * 300_000}
            text = json.dumps([2, "1", "DataTransfer", data])
            async with box(site.port) as station:
                await station.client.send(text)
                await eventually(lambda: station.replies)
            async with box(site.port, "STRANGER") as stranger:
                await stranger.client.send(text)
                await asyncio.wait_for(stranger.client.wait_closed(), 5)
                assert stranger.client.close_code in {1006, 1009}
                assert stranger.replies == []
            async with box(site.port) as station:
                await station.client.send(
                    json.dumps([2, "1", "DataTransfer", {**data, "x": "y" * (1 << 20)}])
                )
                await asyncio.wait_for(station.client.wait_closed(), 5)
                assert station.client.close_code in {1006, 1009}
