"""An operator who secures a garage over REST, for the ``ocpp-rpc`` stations of the tests."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conditions import eventually
from tests.e2e.deployment import Deployment
from tests.e2e.rpc_client import Line, Wire, record
from tests.openssl import request_of

HOST = "127.0.0.1"
PASSWORDS = {"RPC-1": "correct-horse-battery", "RPC-2": "another-long-password"}
TRIES_WITHIN_S = 30.0


def secured_site(profile: int) -> dict[str, Any]:
    """Two stations, each with its own password, that must use this profile."""
    stations = [
        {"id": name, "protocol": "ocpp", "security_profile": profile, "password": password}
        for name, password in PASSWORDS.items()
    ]
    evses = [
        {"id": f"bay of {name}", "station": name, "circuit": "main", "max_a": 16}
        for name in PASSWORDS
    ]
    return {
        "name": "secured",
        "circuits": [{"id": "main", "limit_a": 32}],
        "stations": stations,
        "evses": evses,
        "tokens": [{"id": "CARD-1"}],
    }


@dataclass(frozen=True)
class Securing:
    """The operator, and how the client of the tests connects."""

    deployment: Deployment
    client_package: Path
    folder: Path

    async def configure(self, profile: int) -> None:
        """Store the site."""
        answer = await self.deployment.api.put("/api/v1/site", json=secured_site(profile))
        assert answer.status_code == 200, answer.text

    async def charge(self, scheme: str, **credentials: Any) -> tuple[Wire, dict[str, Any]]:
        """Run a whole session of RPC-1, stopped by the operator.

        Returns what was recorded, and how the station was shown while it charged.
        """
        shown: dict[str, Any] = {}

        async def stop(line: Line) -> None:
            shown.update((await self._get("stations/RPC-1"))["live"])
            path = "/api/v1/stations/RPC-1/calls/RemoteStopTransaction"
            order = {"transactionId": line["transactionId"]}
            outcome = (await self.deployment.api.post(path, json=order)).json()
            assert outcome["outcome"] == "answered", outcome
            assert outcome["payload"] == {"status": "Accepted"}

        wire = await record(
            self.client_package,
            at=("charging", stop),
            **self._wanted(scheme, "RPC-1", credentials),
            untilRemoteStop=True,
        )
        return wire, shown

    async def until_refused(self, status: int, reason: str, scheme: str, **presented: Any) -> None:
        """Try to connect as RPC-1 until it is refused, with this HTTP status, for this reason.

        A site that was just saved counts for ocpp-server a moment later.
        """

        async def refusal() -> Line | None:
            wanted = self._wanted(scheme, "RPC-1", presented)
            wire = await record(self.client_package, **wanted, connectOnly=True)
            return wire.end if wire.end["event"] == "failed" else None

        end = await eventually(refusal, within_s=TRIES_WITHIN_S, claim=f"refused for {reason}")
        assert end["httpStatus"] == status, end
        await self._until_shown(reason)

    async def _until_shown(self, reason: str) -> None:
        async def is_shown() -> bool:
            refused = await self._get("stations?state=refused")
            return any((one["id"], one["refusal_reason"]) == ("RPC-1", reason) for one in refused)

        await eventually(is_shown, every_s=0.05, claim=f"the operator sees the refusal: {reason}")

    async def server_certificates(self) -> Path:
        """Have an own authority, and server certificates of it; return its root as a file.

        Returns once the port shows one of them.
        """
        root = (await self._make("authority", {"common_name": "Garage Root"}))[0]
        await self._make("server", {"names": [HOST]})
        file = self.folder / "root.pem"
        answer = await self.deployment.api.get(f"/api/v1/certificates/{root['id']}.pem")
        file.write_text(answer.text)
        await eventually(
            lambda: asyncio.to_thread(_is_trusted, self.deployment.ocpp_port, file),
            within_s=TRIES_WITHIN_S,
            every_s=0.1,
            claim="the port shows a certificate of the own authority",
        )
        return file

    async def station_certificate(self, identity: str, root: Path) -> dict[str, str]:
        """Have a station ask for a certificate over profile 2; return what it shows from then on.

        The chain is checked by the strict client, the key never leaves the station's folder.
        """
        own = self.folder / identity
        own.mkdir()
        request = await asyncio.to_thread(request_of, own, identity)
        credentials = {
            "ca": str(root),
            "checkName": True,
            "password": PASSWORDS[identity],
            "csr": request,
        }
        wire = await record(self.client_package, **self._wanted("wss", identity, credentials))
        assert wire.violations == []
        assert wire.end["event"] == "done", wire.end
        (own / "station.pem").write_text(wire.end["chain"])
        return {"cert": str(own / "station.pem"), "key": str(own / "station.key")}

    async def session(self, transaction_id: int) -> dict[str, Any]:
        """Wait until the session of a transaction has ended; return it."""

        async def ended() -> dict[str, Any] | None:
            items = (await self._get("sessions"))["items"]
            fitting = (s for s in items if s["transaction_id"] == transaction_id and s["ended_at"])
            return next(fitting, None)

        claim = f"the session of transaction {transaction_id} has ended"
        found: dict[str, Any] = await eventually(ended, every_s=0.1, claim=claim)
        return found

    def _wanted(self, scheme: str, identity: str, credentials: dict[str, Any]) -> dict[str, Any]:
        endpoint = f"{scheme}://{HOST}:{self.deployment.ocpp_port}"
        return {"endpoint": endpoint, "identity": identity, "idTag": "CARD-1", **credentials}

    async def _get(self, path: str) -> Any:
        answer = await self.deployment.api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def _make(self, what: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.deployment.api.post(f"/api/v1/certificates/{what}", json=body)
        assert answer.status_code == 201, answer.text
        made: list[dict[str, Any]] = answer.json()["certificates"]
        return made


def _is_trusted(port: int, root: Path) -> bool:
    """Tell whether the port shows what this root has signed for this host."""
    context = ssl.create_default_context(cafile=str(root))
    try:
        with (
            socket.create_connection((HOST, port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=HOST),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False
