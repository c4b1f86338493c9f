"""An operator at the REST API."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from tests.conditions import eventually

Document = dict[str, Any]


@dataclass(frozen=True)
class Operator:
    """Works on one station and its EVSEs."""

    http: httpx.AsyncClient
    station_id: str

    @property
    def here(self) -> str:
        """The station below /api/v1."""
        return f"stations/{quote(self.station_id)}"

    async def call(self, action: str, payload: Document) -> Document:
        """Send a call to the station; return the payload that it answered with."""
        outcome = await self.try_call(action, payload)
        assert outcome["outcome"] == "answered", f"{action}: {outcome}"
        answer: Document = outcome["payload"]
        return answer

    async def try_call(self, action: str, payload: Document) -> Document:
        """Send a call to the station; return what became of it."""
        return await self.post(f"{self.here}/calls/{action}", payload)

    async def ask(self, what: str, **fields: Any) -> Document:
        """Order something of the station, e.g. ``firmware``; return what became of the call."""
        return await self.post(f"{self.here}/{what}", fields)

    async def change_key(self, key: str, value: str) -> str:
        """Set a configuration key of the station; return its verdict."""
        outcome = (await self.put(f"{self.here}/configuration", {key: value}))[key]
        assert outcome["outcome"] == "answered", outcome
        verdict: str = outcome["payload"]["status"]
        return verdict

    async def order(self, evse_id: str, order: str, **fields: Any) -> Document:
        """Order something at an EVSE: start, stop, unlock; return what became of it."""
        return await self.post(f"evses/{quote(evse_id)}/{order}", fields)

    async def post(self, path: str, body: Document) -> Document:
        """POST below /api/v1 and return the answer, which must be a success."""
        answer = await self.http.post(f"/api/v1/{path}", json=body)
        assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
        document: Document = answer.json()
        return document

    async def delete(self, path: str) -> Document:
        """DELETE below /api/v1 and return the answer, which must be a success."""
        answer = await self.http.delete(f"/api/v1/{path}")
        assert answer.is_success, f"DELETE {path}: {answer.status_code} {answer.text}"
        document: Document = answer.json()
        return document

    async def put(self, path: str, body: Document) -> Document:
        """PUT below /api/v1 and return the answer, which must be a success."""
        answer = await self.http.put(f"/api/v1/{path}", json=body)
        assert answer.is_success, f"PUT {path}: {answer.status_code} {answer.text}"
        document: Document = answer.json()
        return document

    async def get(self, path: str, **query: Any) -> Any:
        """GET below /api/v1; the answer must be a success."""
        answer = await self.http.get(f"/api/v1/{path}", params=query)
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get_text(self, path: str) -> str:
        """GET a text below /api/v1; the answer must be a success."""
        answer = await self.http.get(f"/api/v1/{path}")
        assert answer.is_success, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.text

    async def configure_station(self, **changes: Any) -> None:
        """Change what is configured of the station."""
        path = f"{self.here}/config"
        await self.put(path, {**await self.get(path), **changes})

    async def until_connected(self, **live: Any) -> None:
        """Wait until the station is shown as connected, in this way."""

        async def is_shown() -> bool:
            shown = await self.get(self.here)
            known = shown["live"] or {}
            return shown["state"] == "connected" and all(known[k] == v for k, v in live.items())

        claim = f"{self.station_id} is shown as connected, {live}"
        await eventually(is_shown, every_s=0.05, claim=claim)

    async def until_listed(self, what: str, **fields: Any) -> Document:
        """Wait until one of the station's jobs, reservations … has these fields; return it."""

        async def fitting() -> Document | None:
            found = await self.get(f"{self.here}/{what}")
            wanted = fields.items()
            return next((one for one in found if all(one[k] == v for k, v in wanted)), None)

        claim = f"{what} of {self.station_id} with {fields}"
        document: Document = await eventually(fitting, every_s=0.05, claim=claim)
        return document

    async def until_refused_by_tls(self, why: str) -> None:
        """Wait until a connection is shown as refused by TLS, with these words of it."""

        async def is_shown() -> bool:
            refused = await self.get("stations", state="refused")
            alerts = [one["tls_alert"] for one in refused if one["refusal_reason"] == "tls"]
            return any(why in alert for alert in alerts)

        await eventually(is_shown, every_s=0.05, claim=f"a connection refused by TLS: {why}")

    async def until_local_list(self, version: int | None) -> None:
        """Wait until the station's local list is shown with a version; ``None`` = not known."""

        async def is_shown() -> bool:
            shown = await self.get(f"{self.here}/local-list")
            return bool(shown["changed_at"] is not None and shown["version"] == version)

        await eventually(is_shown, every_s=0.05, claim=f"local list shown as version {version}")

    async def live(self, evse_id: str) -> Document:
        """Return what is seen of an EVSE."""
        found: Document = (await self.get(f"evses/{quote(evse_id)}"))["live"]
        return found

    async def sessions(self, evse_id: str) -> list[Document]:
        """Return the sessions of an EVSE, newest first."""
        found: list[Document] = (await self.get("sessions", evse=evse_id))["items"]
        return found

    async def until_state(self, evse_id: str, state: str) -> None:
        """Wait until an EVSE is shown in this state (a letter of IEC 61851-1)."""

        async def is_there() -> bool:
            return bool((await self.live(evse_id))["state"] == state)

        await eventually(is_there, every_s=0.05, claim=f"{evse_id} is shown as {state}")

    async def running_session(self, evse_id: str, transaction: int) -> Document:
        """Wait until the session of a transaction is shown as running, and return it."""
        return await self._session(evse_id, transaction, ended=False)

    async def ended_session(self, evse_id: str, transaction: int) -> Document:
        """Wait until the session of a transaction has ended, and return it."""
        return await self._session(evse_id, transaction, ended=True)

    async def _session(self, evse_id: str, transaction: int, *, ended: bool) -> Document:
        async def fitting() -> Document | None:
            for session in await self.sessions(evse_id):
                if session["transaction_id"] == transaction:
                    return session if ended is (session["ended_at"] is not None) else None
            return None

        claim = f"the session of transaction {transaction} at {evse_id}, ended: {ended}"
        session: Document = await eventually(fitting, every_s=0.05, claim=claim)
        return session
