"""An independent OCPP client (npm ocpp-rpc, strict) goes through a charging session with Parkade.

It refuses every frame that breaks the schemas of OCPP 1.6, and records the wire.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.rpc_client import Wire, record
from tests.e2e.rpc_security import PASSWORDS, Securing
from tests.npm_client import installed, is_available

SITE = {
    "name": "ocpp-rpc",
    "circuits": [{"id": "main", "limit_a": 32}],
    "stations": [{"id": "RPC-1", "protocol": "ocpp"}],
    "evses": [{"id": "bay", "station": "RPC-1", "connector": 1, "circuit": "main", "max_a": 16}],
    "tokens": [{"id": "CARD-1"}, {"id": "BLOCKED", "status": "blocked"}],
}

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


ONE_PROCESS = pytest.mark.parametrize("deployment", ["one process"], indirect=True)
"""What the bus has no part in is shown once; each of the processes takes its time to start."""


@pytest.fixture(scope="session")
def client_package(request: pytest.FixtureRequest) -> Path:
    """The installed client."""
    if not is_available():
        pytest.skip("needs node and npm")
    return installed(request.config.cache.mkdir("npm"))


async def configure(deployment: Deployment) -> None:
    answer = await deployment.api.put("/api/v1/site", json=SITE)
    assert answer.status_code == 200, answer.text


async def certificate_of(port: int, folder: Path) -> str:
    """Fetch the certificate that the product made for itself, so that the client can trust it."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=10)
    file = folder / "server.pem"
    file.write_text(pem)
    return str(file)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_strict_client_charges_through_the_whole_session(
    deployment: Deployment, client_package: Path, tmp_path: Path, scheme: str
) -> None:
    await configure(deployment)
    trusted: dict[str, Any] = {}
    if scheme == "wss":
        trusted["ca"] = await certificate_of(deployment.ocpp_port, tmp_path)
    wire = await record(
        client_package,
        endpoint=f"{scheme}://127.0.0.1:{deployment.ocpp_port}",
        identity="RPC-1",
        idTag="CARD-1",
        **trusted,
    )
    assert wire.violations == []
    assert wire.end["event"] == "done", wire.end
    assert wire.end["protocol"] == "ocpp1.6"
    assert wire.answer_to("Authorize") == {"idTagInfo": {"status": "Accepted"}}
    started = wire.answer_to("StartTransaction")
    assert started["transactionId"] == wire.end["transactionId"] > 0
    assert wire.answer_to("StopTransaction")
    assert wire.answer_to("MeterValues") == {}


@ONE_PROCESS
async def test_the_client_gets_limits_that_fall_back_by_themselves(
    deployment: Deployment, client_package: Path
) -> None:
    await configure(deployment)
    wire = await record(
        client_package,
        endpoint=f"ws://127.0.0.1:{deployment.ocpp_port}",
        identity="RPC-1",
        idTag="CARD-1",
    )
    assert 6 <= wire.end["limit"] <= 16
    profiles = [
        p["csChargingProfiles"] for a, p in wire.calls("received") if a == "SetChargingProfile"
    ]
    raised = [
        p for p in profiles if p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] > 0
    ]
    assert all("duration" in p["chargingSchedule"] for p in raised), "S8: silence ends a limit"


@ONE_PROCESS
async def test_a_blocked_card_charges_nowhere(deployment: Deployment, client_package: Path) -> None:
    await configure(deployment)
    wire = await record(
        client_package,
        endpoint=f"ws://127.0.0.1:{deployment.ocpp_port}",
        identity="RPC-1",
        idTag="BLOCKED",
        waitForLimitMs=100,
    )
    assert wire.violations == []
    assert wire.answer_to("Authorize") == {"idTagInfo": {"status": "Blocked"}}
    assert (wire.end["event"], wire.end["error"]) == ("failed", "Error idTag is Blocked")


@pytest.fixture
def securing(deployment: Deployment, client_package: Path, tmp_path: Path) -> Securing:
    """An operator and a strict client."""
    return Securing(deployment, client_package, tmp_path)


async def check_session(
    securing: Securing, wire: Wire, shown: dict[str, Any], *, profile: int
) -> None:
    """The whole session went by the rules, over a connection that fulfilled the profile."""
    assert wire.violations == []
    assert wire.end["event"] == "done", wire.end
    assert shown["security_profile"] == profile
    assert shown["tls"] is (profile >= 2)
    assert wire.answer_to("BootNotification")["status"] == "Accepted"
    assert wire.answer_to("Authorize") == {"idTagInfo": {"status": "Accepted"}}
    assert wire.answer_to("MeterValues") == {}
    session = await securing.session(wire.end["transactionId"])
    assert (session["station_id"], session["energy_wh"], session["reason"]) == (
        "RPC-1",
        4,
        "Remote",
    )


@ONE_PROCESS
async def test_profile_1_a_password_of_its_own_lets_a_station_in(securing: Securing) -> None:
    await securing.configure(profile=1)
    await securing.until_refused(401, "password", "ws", password="wrong-horse-battery")
    await securing.until_refused(401, "password", "ws")
    await securing.until_refused(401, "password", "ws", password=PASSWORDS["RPC-2"])
    wire, shown = await securing.charge("ws", password=PASSWORDS["RPC-1"])
    await check_session(securing, wire, shown, profile=1)


@ONE_PROCESS
async def test_profile_2_a_station_verifies_the_server_and_is_refused_in_the_clear(
    securing: Securing,
) -> None:
    await securing.configure(profile=2)
    verified = {"ca": str(await securing.server_certificates()), "checkName": True}
    password = PASSWORDS["RPC-1"]
    await securing.until_refused(403, "security_profile", "ws", password=password)
    await securing.until_refused(401, "password", "wss", password="wrong", **verified)
    wire, shown = await securing.charge("wss", password=password, **verified)
    await check_session(securing, wire, shown, profile=2)


async def test_profile_3_only_the_certificate_of_the_station_lets_it_in(
    securing: Securing,
) -> None:
    await securing.configure(profile=2)
    root = await securing.server_certificates()
    own = await securing.station_certificate("RPC-1", root)
    of_another = await securing.station_certificate("RPC-2", root)
    await securing.configure(profile=3)
    verified = {"ca": str(root), "checkName": True}
    password = PASSWORDS["RPC-1"]
    await securing.until_refused(403, "certificate", "wss", password=password, **verified)
    await securing.until_refused(403, "certificate", "wss", **verified, **of_another)
    await securing.until_refused(403, "security_profile", "ws", password=password)
    wire, shown = await securing.charge("wss", **verified, **own)
    await check_session(securing, wire, shown, profile=3)
