"""An independent OCPP client (npm ocpp-rpc, strict) goes through a charging session with Parkade.

It refuses every frame that breaks the schemas of OCPP 1.6, and records the wire.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.npm_client import installed, is_available

STATION = Path(__file__).parent / "ocpp_rpc"
SESSION_WITHIN_S = 60
SITE = {
    "name": "ocpp-rpc",
    "circuits": [{"id": "main", "limit_a": 32}],
    "stations": [{"id": "RPC-1", "protocol": "ocpp"}],
    "evses": [{"id": "bay", "station": "RPC-1", "connector": 1, "circuit": "main", "max_a": 16}],
    "tokens": [{"id": "CARD-1"}, {"id": "BLOCKED", "status": "blocked"}],
}

pytestmark = pytest.mark.node


@dataclass(frozen=True)
class Wire:
    """What the client recorded."""

    lines: list[dict[str, Any]]
    complaints: str
    """What node printed to standard error."""

    @property
    def end(self) -> dict[str, Any]:
        """How it ended. Parkade may still call it between its last word and its goodbye."""
        ends = [line for line in self.lines if line.get("event") in {"done", "failed"}]
        assert len(ends) == 1, f"{self.lines[-3:]} {self.complaints}"
        return ends[0]

    @property
    def violations(self) -> list[dict[str, Any]]:
        """Frames that broke the schema."""
        return [line for line in self.lines if line.get("event") == "violation"]

    def calls(self, direction: str) -> list[tuple[str, dict[str, Any]]]:
        """Calls that the client sent or received, in order."""
        frames = [line["frame"] for line in self.lines if line.get("direction") == direction]
        return [(frame[2], frame[3]) for frame in frames if frame[0] == 2]

    def answer_to(self, action: str) -> dict[str, Any]:
        """The answer that the client got to its first call of an action."""
        frames = [line["frame"] for line in self.lines if "frame" in line]
        call = next(frame for frame in frames if frame[0] == 2 and frame[2] == action)
        answer = next(frame for frame in frames if frame[0] in {3, 4} and frame[1] == call[1])
        assert answer[0] == 3, f"{action} was answered with {answer}"
        return answer[2]


@pytest.fixture(scope="session")
def client_package(request: pytest.FixtureRequest) -> Path:
    """The installed client."""
    if not is_available():
        pytest.skip("needs node and npm")
    return installed(request.config.cache.mkdir("npm"))


async def record(client_package: Path, **wanted: Any) -> Wire:
    """Run the client to its end."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(STATION / "station.mjs"),
        json.dumps(wanted),
        str(client_package),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SESSION_WITHIN_S):
            output, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = [json.loads(line) for line in output.splitlines()]
    assert lines, complaints.decode()
    return Wire(lines, complaints.decode())


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
    trusted = {}
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
    assert wire.end == {"event": "failed", "error": "Error idTag is Blocked"}
