"""What operators do with stations over HTTP, and what the api remembers of it."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.bus.port import Bus, Delivery, Inbox
from shared.contracts.message import ActionOutcome, Address, station_address
from shared.contracts.ocpp import CallOutcome, CallResult, CallStation
from shared.contracts.session import SessionStarted, SignedValueReceived
from shared.contracts.site import Token
from shared.contracts.station import (
    ConfigurationEntry,
    JobKind,
    LocalListChanged,
    ReadConfiguration,
    ReservationChanged,
    ReservationStatus,
    SecurityEventReported,
    SendLocalList,
    StationConfigurationRead,
    StationJobChanged,
)
from tests.conditions import eventually
from tests.integration.test_api import SITE, RunningApi, database_url, running  # noqa: F401
from tests.postgres import postgres  # noqa: F401 - a fixture

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATION = "Box/1"
PATH = f"/stations/{quote(STATION, safe='')}"
GARAGE: dict[str, Any] = {
    "stations": [{"id": STATION, "protocol": "ocpp"}, SITE["stations"][1]],
    "evses": [{**SITE["evses"][0], "station": STATION, "connector": 2}, SITE["evses"][1]],
    "tokens": [Token(id="CARD", parent="FAMILY").model_dump(mode="json")],
}
RAW = 'OCMF|{"FV" : "1.0","GI":"ä"}|{"SD":"3045"}'


class Holder:
    """Holds the station: remembers calls, answers as told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.orders: list[Any] = []
        self.answer: Callable[[str, dict[str, Any]], CallOutcome] = lambda _action, _payload: (
            CallOutcome(outcome=CallResult.ANSWERED, payload={"status": "Accepted"})
        )
        self.outcome = ActionOutcome(done=True, detail="read")

    async def open(self, bus: Bus) -> Inbox:
        """Own the station."""

        async def on_evicted(_address: Address, _epoch: int) -> None:
            raise AssertionError("nobody else owns the station")

        async def call(delivery: Delivery[CallStation]) -> CallOutcome:
            payload = json.loads(delivery.message.payload_text)
            self.calls.append((delivery.message.action, payload))
            return self.answer(delivery.message.action, payload)

        async def order(delivery: Delivery[Any]) -> ActionOutcome:
            self.orders.append(delivery.message)
            return self.outcome

        inbox = await bus.inbox(on_evicted)
        inbox.on(CallStation, call)
        inbox.on(ReadConfiguration, order)
        inbox.on(SendLocalList, order)
        await inbox.own(station_address(STATION), 1)
        return inbox


@pytest.fixture
async def api(database_url: str | None, tmp_path: Path) -> AsyncIterator[RunningApi]:  # noqa: F811
    async with running(tmp_path, database_url) as started:
        assert (await started.put_site(**GARAGE)).status_code == 200
        yield started


@pytest.fixture
async def holder(api: RunningApi) -> Holder:
    found = Holder()
    await found.open(api.bus)
    return found


async def listed(api: RunningApi, path: str) -> Any:
    answer = await api.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def job(status: str, second: int, **values: Any) -> StationJobChanged:
    told: dict[str, Any] = {
        "station_id": STATION,
        "kind": JobKind.FIRMWARE,
        "status": status,
        "changed_at": NOW + timedelta(seconds=second),
    }
    return StationJobChanged(**(told | values))


async def test_a_job_is_followed_from_its_order_to_its_end(api: RunningApi) -> None:
    facts = [
        job("Accepted", 0, ordered=True, location="ftp://f"),
        job("Downloading", 60),
        job("Installed", 90, finished=True),
    ]
    for fact in (*facts, *facts):  # a queue may deliver twice
        await api.bus.publish(fact)
    (found,) = await listed(api, f"{PATH}/jobs")
    assert [step["status"] for step in found["steps"]] == ["Accepted", "Downloading", "Installed"]
    assert (found["status"], found["location"]) == ("Installed", "ftp://f")
    assert found["finished_at"] == "2026-03-01T12:01:30Z"


async def test_jobs_of_two_kinds_and_stations_are_kept_apart(api: RunningApi) -> None:
    await api.bus.publish(job("Downloading", 0))
    await api.bus.publish(job("Uploading", 1, kind=JobKind.DIAGNOSTICS))
    await api.bus.publish(job("Uploading", 1, station_id="elsewhere"))
    found = await listed(api, f"{PATH}/jobs")
    assert [one["kind"] for one in found] == ["diagnostics", "firmware"]
    assert (await listed(api, f"{PATH}/jobs?limit=1"))[0]["kind"] == "diagnostics"


async def test_texts_with_nul_characters_are_stored(api: RunningApi) -> None:
    await api.bus.publish(job("Do\x00ne", 0, detail="\x00"))
    await api.bus.publish(reserved(token="A\x00B"))
    await api.bus.publish(security("event", tech_info="\x00x"))
    await api.bus.publish(signed(RAW + "\x00"))
    assert (await listed(api, f"{PATH}/jobs"))[0]["status"] == "Done"
    assert (await listed(api, f"{PATH}/reservations"))[0]["token"] == "AB"
    assert (await listed(api, f"{PATH}/security-events"))[0]["tech_info"] == "x"


async def test_firmware_is_updated_and_what_the_station_said_is_the_answer(
    api: RunningApi, holder: Holder
) -> None:
    holder.answer = lambda _action, _payload: CallOutcome(outcome=CallResult.ANSWERED, payload={})
    body = {"location": "ftp://f", "retrieve_at": "2026-03-01T14:00:00+02:00", "retries": -1}
    answer = (await api.client.post(f"{PATH}/firmware", json=body)).json()
    assert (answer["outcome"], answer["payload"], answer["request_id"]) == ("answered", {}, None)
    sent = {"location": "ftp://f", "retrieveDate": "2026-03-01T12:00:00Z", "retries": -1}
    assert holder.calls == [("UpdateFirmware", sent)]


async def test_firmware_with_a_certificate_is_a_signed_update(
    api: RunningApi, holder: Holder
) -> None:
    body = {
        "location": "https://f",
        "retrieve_at": "2026-03-01T12:00:00Z",
        "install_at": "2026-03-02T12:00:00Z",
        "signing_certificate": "no certificate at all",
        "signature": "nor a signature",
    }
    answer = (await api.client.post(f"{PATH}/firmware", json=body)).json()
    ((action, payload),) = holder.calls
    assert (action, payload["requestId"]) == ("SignedUpdateFirmware", answer["request_id"])
    assert payload["firmware"] == {
        "location": "https://f",
        "retrieveDateTime": "2026-03-01T12:00:00Z",
        "installDateTime": "2026-03-02T12:00:00Z",
        "signingCertificate": "no certificate at all",
        "signature": "nor a signature",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"location": "f", "retrieve_at": "2026-03-01T12:00:00Z", "signing_certificate": "c"},
        {
            "location": "f",
            "retrieve_at": "2026-03-01T12:00:00Z",
            "install_at": "2026-03-01T12:00:00Z",
        },
        {"location": "f", "retrieve_at": "soon"},
    ],
)
async def test_half_an_order_for_firmware_is_not_sent(
    api: RunningApi, holder: Holder, body: dict[str, Any]
) -> None:
    assert (await api.client.post(f"{PATH}/firmware", json=body)).status_code == 422
    assert holder.calls == []


async def test_diagnostics_and_logs_are_asked_for(api: RunningApi, holder: Holder) -> None:
    since = "2026-03-01T12:00:00Z"
    await api.client.post(
        f"{PATH}/diagnostics", json={"location": "ftp://d", "since": since, "retry_interval_s": 5}
    )
    answer = await api.client.post(
        f"{PATH}/log", json={"type": "SecurityLog", "location": "https://l", "oldest": since}
    )
    assert holder.calls == [
        ("GetDiagnostics", {"location": "ftp://d", "startTime": since, "retryInterval": 5}),
        (
            "GetLog",
            {
                "logType": "SecurityLog",
                "requestId": answer.json()["request_id"],
                "log": {"remoteLocation": "https://l", "oldestTimestamp": since},
            },
        ),
    ]


async def test_an_order_to_a_station_that_is_away_is_offline(api: RunningApi) -> None:
    answer = await api.client.post(f"{PATH}/diagnostics", json={"location": "ftp://d"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "offline")


async def test_a_station_without_ocpp_has_no_such_orders(api: RunningApi) -> None:
    answer = await api.client.post("/stations/Box-2/diagnostics", json={"location": "ftp://d"})
    assert answer.status_code == 409
    assert (await api.client.get("/stations/nobody/jobs")).status_code == 404


def reserved(**values: Any) -> ReservationChanged:
    told: dict[str, Any] = {
        "station_id": STATION,
        "reservation_id": 7,
        "status": ReservationStatus.ACTIVE,
        "connector": 2,
        "token": "CARD",
        "expires_at": datetime(2126, 1, 1, tzinfo=UTC),
        "changed_at": NOW,
    }
    return ReservationChanged(**(told | values))


async def test_an_evse_is_reserved_for_a_token_and_its_group(
    api: RunningApi, holder: Holder
) -> None:
    body = {"token": "CARD", "expires_at": "2026-03-01T13:00:00Z"}
    answer = (await api.client.post("/evses/bay/1/reservations", json=body)).json()
    assert (answer["outcome"], answer["payload"]) == ("answered", {"status": "Accepted"})
    assert holder.calls == [
        (
            "ReserveNow",
            {
                "connectorId": 2,
                "expiryDate": "2026-03-01T13:00:00Z",
                "idTag": "CARD",
                "parentIdTag": "FAMILY",
                "reservationId": answer["reservation_id"],
            },
        )
    ]


async def test_a_whole_station_is_reserved_with_what_is_asked_for(
    api: RunningApi, holder: Holder
) -> None:
    body = {
        "token": "CARD",
        "expires_at": "2026-03-01T13:00:00Z",
        "parent": None,
        "reservation_id": 7,
    }
    await api.client.post(f"{PATH}/reservations", json=body)
    ((_, payload),) = holder.calls
    assert (payload["connectorId"], payload["reservationId"]) == (0, 7)
    assert "parentIdTag" not in payload


async def test_an_unknown_reservation_is_cancelled_at_the_station_all_the_same(
    api: RunningApi, holder: Holder
) -> None:
    holder.answer = lambda _action, _payload: CallOutcome(
        outcome=CallResult.ANSWERED, payload={"status": "Rejected"}
    )
    answer = await api.client.delete(f"{PATH}/reservations/4711")
    assert (answer.status_code, answer.json()["payload"]) == (200, {"status": "Rejected"})
    assert holder.calls == [("CancelReservation", {"reservationId": 4711})]


async def test_reservations_are_listed_with_what_became_of_them(api: RunningApi) -> None:
    await api.bus.publish(reserved())
    await api.bus.publish(reserved(reservation_id=8, expires_at=NOW, changed_at=NOW))
    used = reserved(
        status=ReservationStatus.USED, transaction_id=5, changed_at=NOW + timedelta(minutes=1)
    )
    for fact in (used, used, reserved()):
        await api.bus.publish(fact)
    found = {one["reservation_id"]: one for one in await listed(api, f"{PATH}/reservations")}
    assert {key: one["status"] for key, one in found.items()} == {7: "used", 8: "expired"}
    assert found[7]["transaction_id"] == 5


def security(event_id: str, **values: Any) -> SecurityEventReported:
    told: dict[str, Any] = {
        "event_id": event_id,
        "station_id": STATION,
        "type": "ResetOrReboot",
        "critical": True,
        "told_at": "2026-03-01T11:59:59Z",
        "received_at": NOW,
    }
    return SecurityEventReported(**(told | values))


async def test_a_security_event_is_kept_once(api: RunningApi) -> None:
    await api.bus.publish(security("a"))
    await api.bus.publish(security("a", received_at=NOW + timedelta(hours=1)))
    await api.bus.publish(security("b", received_at=NOW + timedelta(hours=2), critical=False))
    found = await listed(api, f"{PATH}/security-events")
    assert [(one["event_id"], one["critical"]) for one in found] == [("b", False), ("a", True)]
    assert found[1]["told_at"] == "2026-03-01T11:59:59Z"


def signed(raw: str, **values: Any) -> SignedValueReceived:
    told: dict[str, Any] = {
        "station_id": STATION,
        "connector": 2,
        "session_id": "ocpp/1",
        "raw": raw,
        "sha256": hashlib.sha256(raw.encode()).hexdigest(),
        "received_at": NOW,
    }
    return SignedValueReceived(**(told | values))


async def test_signed_values_are_given_back_byte_for_byte(api: RunningApi) -> None:
    second = "<values>\n  <signedData>A</signedData>\r\n</values>"
    for fact in (signed(RAW, context="Transaction.Begin"), signed(second), signed(RAW)):
        await api.bus.publish(fact)
    found = await listed(api, "/sessions/ocpp/1/signed")
    assert [one["raw"] for one in found] == [RAW, second]
    assert found[0]["sha256"] == hashlib.sha256(RAW.encode()).hexdigest()
    assert found[0]["context"] == "Transaction.Begin"
    text = await api.client.get("/sessions/ocpp/1/signed?download=1")
    assert text.content == f"{RAW}\n{second}\n".encode()
    assert "attachment" in text.headers["content-disposition"]


async def test_a_signed_value_finds_its_session_when_it_comes_again_with_it(
    api: RunningApi,
) -> None:
    await api.bus.publish(signed(RAW, session_id=None))
    assert (await api.client.get("/sessions/ocpp/1/signed")).status_code == 404
    await api.bus.publish(signed(RAW, transaction_id=9))
    (found,) = await listed(api, "/sessions/ocpp/1/signed")
    assert found["transaction_id"] == 9


async def test_a_session_without_signed_values_has_an_empty_list(api: RunningApi) -> None:
    await api.bus.publish(
        SessionStarted(
            session_id="ocpp/1",
            evse_id="bay/1",
            station_id=STATION,
            connector=2,
            started_at=NOW,
        )
    )
    assert await listed(api, "/sessions/ocpp/1/signed") == []


async def test_a_configuration_is_shown_with_what_is_not_as_wanted(api: RunningApi) -> None:
    assert (await listed(api, f"{PATH}/configuration"))["read_at"] is None
    await api.bus.publish(
        StationConfigurationRead(
            station_id=STATION,
            epoch=1,
            read_at=NOW,
            entries=(
                ConfigurationEntry(key="HeartbeatInterval", value="60"),
                ConfigurationEntry(key="AuthorizationKey", value="s3cret"),
            ),
            wanted={"heartbeatinterval": "300"},
            model="box",
        )
    )

    async def shown() -> Any:
        found = await listed(api, f"{PATH}/configuration")
        return found if found["read_at"] else None

    found = await eventually(shown)
    assert found["drift"] == [{"key": "heartbeatinterval", "wanted": "300", "actual": "60"}]
    assert "s3cret" not in json.dumps(found)


async def test_keys_are_set_one_after_another_and_each_has_its_result(
    api: RunningApi, holder: Holder
) -> None:
    holder.answer = lambda _action, payload: CallOutcome(
        outcome=CallResult.ANSWERED,
        payload={"status": "Rejected" if payload["value"] == "-1" else "Accepted"},
    )
    body = {"MeterValueSampleInterval": -1, "LocalPreAuthorize": True}
    answer = await api.client.put(f"{PATH}/configuration", json=body)
    assert {key: one["payload"]["status"] for key, one in answer.json().items()} == {
        "MeterValueSampleInterval": "Rejected",
        "LocalPreAuthorize": "Accepted",
    }
    assert [payload for _, payload in holder.calls] == [
        {"key": "MeterValueSampleInterval", "value": "-1"},
        {"key": "LocalPreAuthorize", "value": "true"},
    ]


async def test_a_station_that_is_away_is_not_tried_for_every_key(
    api: RunningApi, holder: Holder
) -> None:
    holder.answer = lambda _action, _payload: CallOutcome(outcome=CallResult.TIMEOUT)
    answer = await api.client.put(f"{PATH}/configuration", json={"A": "1", "B": "2"})
    assert [one["outcome"] for one in answer.json().values()] == ["timeout", "timeout"]
    assert answer.json()["B"]["error_description"] == "not sent"
    assert len(holder.calls) == 1
    assert (await api.client.put(f"{PATH}/configuration", json={})).status_code == 422


async def test_reading_and_sending_are_ordered_at_the_station(
    api: RunningApi, holder: Holder
) -> None:
    read = await api.client.post(f"{PATH}/configuration/read")
    assert read.json() == {"outcome": "done", "detail": "read"}
    holder.outcome = ActionOutcome(done=False, detail="it has no lists")
    sent = await api.client.post(f"{PATH}/local-list")
    assert sent.json() == {"outcome": "refused", "detail": "it has no lists"}
    assert holder.orders == [
        ReadConfiguration(station_id=STATION),
        SendLocalList(station_id=STATION),
    ]


async def test_the_local_list_is_shown_as_it_was_told_last(api: RunningApi) -> None:
    assert (await listed(api, f"{PATH}/local-list"))["changed_at"] is None
    await api.bus.publish(LocalListChanged(station_id=STATION, version=3, wanted=4, changed_at=NOW))

    async def shown() -> Any:
        found = await listed(api, f"{PATH}/local-list")
        return found if found["changed_at"] else None

    found = await eventually(shown)
    assert (found["version"], found["wanted"]) == (3, 4)


async def test_the_station_and_the_evse_are_still_found_beside_their_parts(
    api: RunningApi,
) -> None:
    assert (await listed(api, PATH))["id"] == STATION
    assert (await listed(api, "/evses/bay/1"))["id"] == "bay/1"
    assert (await api.client.delete("/evses/bay/1")).status_code == 200
