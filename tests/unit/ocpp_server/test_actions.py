"""Jobs, reservations, security, certificates, signed values: what a running core makes of them."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ocpp_server.postman import AGAIN_AFTER
from shared.bus.port import Delivery
from shared.bus.topology import STATION_RECORDS_TO_API
from shared.contracts.certificate import SignedCertificate, SignStationCertificate
from shared.contracts.message import Address, service_address
from shared.contracts.ocpp import CallOutcome, CallStation
from shared.contracts.session import SignedValueReceived
from shared.contracts.site import SiteConfig, Token
from shared.contracts.station import (
    JobKind,
    ReservationChanged,
    ReservationStatus,
    SecurityEventReported,
    StationJobChanged,
)
from shared.errors import StoreUnavailable
from tests.conditions import eventually
from tests.ocpp_core import BACKEND, Core, FakeStation, evse, running_core, site_of

NOW = "2026-01-01T12:00:00Z"
START = {"connectorId": 1, "idTag": "GOOD", "meterStart": 5, "timestamp": NOW}
RAW = 'OCMF|{"FV" : "1.0","GI":"ä\\u00e4"}|{"SD":"3045"}'
CSR = (
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    + base64.b64encode(b"\x30\x82\x01\x00" + b"x" * 60).decode()
    + "\n-----END CERTIFICATE REQUEST-----\n"
)
LEAF = "-----BEGIN CERTIFICATE-----\nTEVBRg==\n-----END CERTIFICATE-----\n"
CHAIN = LEAF + "-----BEGIN CERTIFICATE-----\nUk9PVA==\n-----END CERTIFICATE-----\n"


@pytest.fixture
def site() -> SiteConfig:
    return site_of(mode="monitor")


async def operator_calls(core: Core, action: str, **payload: Any) -> CallOutcome:
    order = CallStation(station_id="CP1", action=action, payload_text=json.dumps(payload))
    return await core.operator.ask(order, timeout_s=5)


def words(core: Core) -> list[str]:
    return [event.status for event in core.events(StationJobChanged)]


# Tokens


async def test_a_token_expires_while_the_core_runs(tmp_path: Path) -> None:
    async with running_core(site_of(mode="monitor"), tmp_path) as core:
        ends = core.clock.now() + timedelta(minutes=1)
        core.registry.site_changed(
            site_of(mode="monitor", tokens=(Token(id="T", expires_at=ends),))
        )
        station = await core.booted()
        before = await station.call("Authorize", {"idTag": "T"})
        assert before["idTagInfo"]["status"] == "Accepted"
        assert "expiryDate" in before["idTagInfo"]
        core.later(60)
        after = await station.call("Authorize", {"idTag": "t"})
        assert after == {"idTagInfo": {"status": "Expired"}}
        started = await station.call("StartTransaction", START | {"idTag": "T"})
        stop = {"transactionId": started["transactionId"], "meterStop": 9, "timestamp": NOW}
        stopped = await station.call("StopTransaction", {**stop, "idTag": "T"})
        assert [one["idTagInfo"]["status"] for one in (started, stopped)] == ["Expired"] * 2


async def test_a_token_may_run_two_transactions(tmp_path: Path) -> None:
    async with running_core(site_of(evse(1), evse(2), mode="monitor"), tmp_path) as core:
        station = await core.booted()
        for connector in (1, 2):
            answer = await station.call("StartTransaction", START | {"connectorId": connector})
            assert answer["idTagInfo"]["status"] == "Accepted"


# Security events


EVENT = {"type": "TamperDetectionActivated", "timestamp": NOW, "techInfo": "lid"}


async def test_a_security_event_is_told_and_recognised_after_a_reconnect(core: Core) -> None:
    first = await core.booted()
    assert await first.call("SecurityEventNotification", EVENT) == {}
    first.close()
    again = await core.booted()
    await again.call("SecurityEventNotification", EVENT)
    await eventually(lambda: len(core.events(SecurityEventReported)) == 2)
    one, two = core.events(SecurityEventReported)
    assert one.event_id == two.event_id
    assert (one.type, one.critical, one.tech_info, one.told_at) == (
        "TamperDetectionActivated",
        True,
        "lid",
        NOW,
    )


async def test_an_unknown_security_event_is_told_as_not_critical(core: Core) -> None:
    station = await core.booted()
    await station.call("SecurityEventNotification", EVENT | {"type": "MakersOwn"})
    assert not (await core.event(SecurityEventReported)).critical


async def test_a_station_that_is_not_configured_fills_no_tables(core: Core) -> None:
    station = await core.booted("stranger")
    assert await station.call("SecurityEventNotification", EVENT) == {}
    assert await station.call("FirmwareStatusNotification", {"status": "Installed"}) == {}
    assert await station.call("SignCertificate", {"csr": CSR}) == {"status": "Rejected"}
    known = await core.booted()
    await known.call("SecurityEventNotification", EVENT)
    assert (await core.event(SecurityEventReported)).station_id == "CP1"
    assert len(core.events(SecurityEventReported)) == 1
    assert core.events(StationJobChanged) == []


async def test_a_backend_still_answers_security_events(tmp_path: Path) -> None:
    async with running_core(site_of(evse(backend=BACKEND), mode="monitor"), tmp_path) as core:
        station = await core.booted()
        assert await station.call("SecurityEventNotification", EVENT) == {}
        assert (await core.event(SecurityEventReported)).type == "TamperDetectionActivated"


async def test_a_fact_that_the_bus_does_not_confirm_is_delivered_later(core: Core) -> None:
    refused = 0

    async def away(_deliveries: Any) -> None:
        nonlocal refused
        refused += 1
        raise StoreUnavailable("the api is away")

    consumer = await core.operator.consume(STATION_RECORDS_TO_API, away)
    station = await core.booted()
    assert await station.call("SecurityEventNotification", EVENT) == {}
    assert refused
    assert await core.ledger.stations_with_events() == {"CP1"}
    await consumer.close()
    taken: list[Any] = []

    async def take(deliveries: Any) -> None:
        taken.extend(delivery.message for delivery in deliveries)

    await core.operator.consume(STATION_RECORDS_TO_API, take)
    core.clock.advance(AGAIN_AFTER.total_seconds() + 1)
    await core.facilities.postman.deliver_old()
    assert await core.ledger.stations_with_events() == set()
    assert len({event.event_id for event in taken}) == 1, "delivered twice is one event"


# Jobs


async def test_a_firmware_update_is_followed_from_order_to_end(core: Core) -> None:
    station = await core.booted()
    station.answers["UpdateFirmware"] = {}
    await operator_calls(core, "UpdateFirmware", location="ftp://f", retrieveDate=NOW)
    for status in ("Downloading", "Installed"):
        assert await station.call("FirmwareStatusNotification", {"status": status}) == {}
    await eventually(lambda: len(core.events(StationJobChanged)) == 3)
    ordered, downloading, installed = core.events(StationJobChanged)
    assert (ordered.ordered, ordered.location, ordered.kind) == (True, "ftp://f", JobKind.FIRMWARE)
    assert (downloading.ordered, downloading.finished) == (False, False)
    assert installed.finished


async def test_signed_firmware_and_logs_carry_their_request(core: Core) -> None:
    station = await core.booted()
    firmware = {
        "location": "https://f",
        "retrieveDateTime": NOW,
        "signingCertificate": "c",
        "signature": "s",
    }
    await operator_calls(core, "SignedUpdateFirmware", requestId=5, firmware=firmware)
    status = {"status": "InvalidSignature", "requestId": 5}
    await station.call("SignedFirmwareStatusNotification", status)
    station.answers["GetLog"] = {"status": "Accepted", "filename": "l.txt"}
    log = {"remoteLocation": "https://l"}
    await operator_calls(core, "GetLog", requestId=6, logType="SecurityLog", log=log)
    await station.call("LogStatusNotification", {"status": "Uploaded", "requestId": 6})
    await eventually(lambda: len(core.events(StationJobChanged)) == 4)
    told = [(e.kind, e.request_id, e.finished) for e in core.events(StationJobChanged)]
    assert told == [
        (JobKind.SIGNED_FIRMWARE, 5, False),
        (JobKind.SIGNED_FIRMWARE, 5, True),
        (JobKind.LOG, 6, False),
        (JobKind.LOG, 6, True),
    ]


async def test_an_order_that_is_refused_begins_no_job(core: Core) -> None:
    station = await core.booted()
    station.answers["GetLog"] = {"status": "Rejected"}
    await operator_calls(core, "GetLog", requestId=6, logType="x", log={"remoteLocation": ""})
    await station.call("DiagnosticsStatusNotification", {"status": "Idle"})
    await core.event(StationJobChanged)
    (idle,) = core.events(StationJobChanged)
    assert (idle.status, idle.ordered, idle.finished) == ("Idle", False, False)


async def test_a_silent_station_has_taken_nothing(core: Core) -> None:
    station = await core.booted()
    station.answers["UpdateFirmware"] = None
    order = CallStation(
        station_id="CP1", action="UpdateFirmware", payload_text="{}", timeout_s=0.02
    )
    assert (await core.operator.ask(order, timeout_s=5)).outcome == "timeout"
    assert core.events(StationJobChanged) == []


# Reservations


RESERVE = {"connectorId": 1, "expiryDate": "2026-01-01T13:00:00Z", "idTag": "GOOD"}


async def test_a_reservation_is_made_and_used(core: Core) -> None:
    station = await core.booted()
    await operator_calls(core, "ReserveNow", **RESERVE, reservationId=7, parentIdTag="FAMILY")
    active = await core.event(ReservationChanged)
    assert active.expires_at is not None
    assert (active.status, active.connector, active.token, active.parent) == (
        ReservationStatus.ACTIVE,
        1,
        "GOOD",
        "FAMILY",
    )
    start = START | {"reservationId": 7}
    answer = await station.call("StartTransaction", start)
    used = await core.event(ReservationChanged, lambda e: e.status is ReservationStatus.USED)
    assert (used.reservation_id, used.transaction_id) == (7, answer["transactionId"])
    station.close()
    again = await core.booted()
    await again.call("StartTransaction", start)
    assert len(core.events(ReservationChanged)) == 2, "the same start uses it once"


async def test_a_reservation_is_cancelled(core: Core) -> None:
    station = await core.booted()
    await operator_calls(core, "ReserveNow", **RESERVE, reservationId=7)
    station.answers["CancelReservation"] = [{"status": "Rejected"}, {"status": "Accepted"}]
    for _ in range(2):
        await operator_calls(core, "CancelReservation", reservationId=7)
    cancelled = await core.event(
        ReservationChanged, lambda e: e.status is ReservationStatus.CANCELLED
    )
    assert cancelled.reservation_id == 7
    assert len(core.events(ReservationChanged)) == 2


@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Rejected", "Unavailable"])
async def test_a_reservation_that_is_not_accepted_is_none(core: Core, status: str) -> None:
    station = await core.booted()
    station.answers["ReserveNow"] = {"status": status}
    await operator_calls(core, "ReserveNow", **RESERVE, reservationId=7)
    assert core.events(ReservationChanged) == []


async def test_odd_values_of_an_operator_are_sent_and_break_nothing(core: Core) -> None:
    station = await core.booted()
    outcome = await operator_calls(core, "ReserveNow", reservationId=2**70, connectorId="x")
    assert outcome.payload == {"status": "Accepted"}
    assert station.payloads("ReserveNow")
    assert core.events(ReservationChanged) == []


# Signed values


def meter_values(*samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
    entry = {"timestamp": NOW, "sampledValue": list(samples)}
    return {"connectorId": 1, "meterValue": [entry], **changes}


async def test_signed_values_are_told_with_their_session(core: Core) -> None:
    station = await core.booted()
    transaction_id = (await station.call("StartTransaction", START))["transactionId"]
    sample = {"value": RAW, "format": "SignedData", "context": "Transaction.Begin"}
    payload = meter_values({"value": "5"}, sample, transactionId=transaction_id)
    assert await station.call("MeterValues", payload) == {}
    told = await core.event(SignedValueReceived)
    assert (told.raw, told.sha256) == (RAW, hashlib.sha256(RAW.encode()).hexdigest())
    assert (told.session_id, told.transaction_id, told.context) == (
        f"ocpp-CP1-{transaction_id}",
        transaction_id,
        "Transaction.Begin",
    )
    assert await core.ledger.signed_texts(transaction_id) == [RAW]


async def test_a_stop_brings_its_signed_values_once(core: Core) -> None:
    station = await core.booted()
    transaction_id = (await station.call("StartTransaction", START))["transactionId"]
    data = meter_values({"value": RAW}, {"value": f"{RAW}2", "format": "SignedData"})
    stop = {
        "transactionId": transaction_id,
        "meterStop": 9,
        "timestamp": NOW,
        "transactionData": data["meterValue"],
    }
    await station.call("StopTransaction", stop)
    station.close()
    again = await core.booted()
    await again.call("StopTransaction", stop)
    assert [e.raw for e in core.events(SignedValueReceived)] == [RAW, f"{RAW}2"]
    assert {e.session_id for e in core.events(SignedValueReceived)} == {
        f"ocpp-CP1-{transaction_id}"
    }


async def test_a_value_that_came_without_its_transaction_is_told_again_with_it(core: Core) -> None:
    station = await core.booted()
    transaction_id = (await station.call("StartTransaction", START))["transactionId"]
    await station.call("MeterValues", meter_values({"value": RAW}))
    await station.call("MeterValues", meter_values({"value": RAW}, transactionId=transaction_id))
    await eventually(lambda: len(core.events(SignedValueReceived)) == 2)
    assert [e.session_id for e in core.events(SignedValueReceived)] == [
        None,
        f"ocpp-CP1-{transaction_id}",
    ]
    assert await core.ledger.signed_texts(transaction_id) == [RAW]


async def test_no_station_gets_a_session_of_another(tmp_path: Path) -> None:
    site = site_of(evse(1), evse(1, id="other", station="CP2"), mode="monitor")
    async with running_core(site, tmp_path) as core:
        one, two = await core.booted("CP1"), await core.booted("CP2")
        transaction_id = (await one.call("StartTransaction", START))["transactionId"]
        await two.call("MeterValues", meter_values({"value": RAW}, transactionId=transaction_id))
        told = await core.event(SignedValueReceived)
        assert (told.station_id, told.session_id) == ("CP2", None)


# Certificates


class Authority:
    """Signs what it is asked for, or not."""

    def __init__(self, answer: SignedCertificate) -> None:
        self.answer = answer
        self.asked: list[SignStationCertificate] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def open(self, core: Core) -> None:
        async def on_evicted(_address: Address, _epoch: int) -> None:
            raise AssertionError("there is one authority")

        async def sign(delivery: Delivery[SignStationCertificate]) -> SignedCertificate:
            self.asked.append(delivery.message)
            await self.may_answer.wait()
            return self.answer

        inbox = await core.operator.inbox(on_evicted)
        inbox.on(SignStationCertificate, sign)
        await inbox.own(service_address("certificates"), 1)


@pytest.fixture
async def authority(core: Core) -> AsyncIterator[Authority]:
    found = Authority(SignedCertificate(chain_pem=CHAIN))
    await found.open(core)
    yield found
    found.may_answer.set()


async def request(station: FakeStation, csr: str = CSR) -> Any:
    return await station.call("SignCertificate", {"csr": csr})


async def ended(core: Core) -> StationJobChanged:
    return await core.event(StationJobChanged, lambda e: e.finished)


async def test_a_certificate_is_signed_and_handed_over(core: Core, authority: Authority) -> None:
    station = await core.booted()
    assert await request(station) == {"status": "Accepted"}
    assert (await ended(core)).status == "Accepted"
    assert authority.asked == [SignStationCertificate(station_id="CP1", csr_pem=CSR)]
    assert await station.was_called("CertificateSigned") == {"certificateChain": CHAIN}
    assert words(core) == ["Requested", "Signed", "Accepted"]
    begun = core.events(StationJobChanged)[0]
    assert (begun.kind, begun.ordered) == (JobKind.CERTIFICATE, True)


async def test_the_station_is_answered_before_the_authority_is(
    core: Core, authority: Authority
) -> None:
    authority.may_answer.clear()
    station = await core.booted()
    assert await request(station) == {"status": "Accepted"}
    assert (await station.call("Heartbeat", {}))["currentTime"]
    assert await request(station) == {"status": "Accepted"}, "the same request again"
    authority.may_answer.set()
    await ended(core)
    assert len(authority.asked) == 1


async def test_requests_on_top_of_those_under_way_are_refused(
    core: Core, authority: Authority
) -> None:
    authority.may_answer.clear()
    station = await core.booted()
    answers = [await request(station, CSR.replace("eHh4", f"eHh{letter}", 1)) for letter in "56789"]
    assert [answer["status"] for answer in answers] == ["Accepted"] * 4 + ["Rejected"]
    authority.may_answer.set()
    await eventually(lambda: words(core).count("Accepted") == 4)


async def test_without_an_authority_the_job_says_so(core: Core) -> None:
    station = await core.booted()
    assert await request(station) == {"status": "Accepted"}
    end = await ended(core)
    assert (end.status, end.detail) == ("Refused", "no certificate authority is running")
    assert station.payloads("CertificateSigned") == []


async def test_a_refusal_of_the_authority_is_the_reason(core: Core, authority: Authority) -> None:
    authority.answer = SignedCertificate(refusal="the key has only 1024 bits")
    station = await core.booted()
    await request(station)
    assert (await ended(core)).detail == "the key has only 1024 bits"


async def test_a_station_without_room_for_the_chain_gets_the_leaf(
    core: Core, authority: Authority
) -> None:
    station = await core.booted()
    station.answers["CertificateSigned"] = [{"status": "Rejected"}, {"status": "Accepted"}]
    station.answers["GetConfiguration"] = max_chain("100")
    await request(station)
    assert (await ended(core)).status == "Accepted"
    assert station.payloads("CertificateSigned")[1] == {"certificateChain": LEAF}


async def test_a_station_without_room_at_all_is_told_of(core: Core, authority: Authority) -> None:
    station = await core.booted()
    station.answers["CertificateSigned"] = {"status": "Rejected"}
    station.answers["GetConfiguration"] = max_chain("10")
    await request(station)
    end = await ended(core)
    assert (end.status, "CertificateSignedMaxChainSize" in end.detail) == ("Rejected", True)


async def test_a_chain_that_no_message_can_carry_is_not_sent(
    core: Core, authority: Authority
) -> None:
    authority.answer = SignedCertificate(chain_pem=CHAIN + "x" * 10_000)
    station = await core.booted()
    await request(station)
    end = await ended(core)
    assert (end.status, "CertificateSignedMaxChainSize" in end.detail) == ("Refused", True)
    assert station.payloads("CertificateSigned") == []


async def test_a_certificate_that_the_station_refuses_for_itself_is_rejected(
    core: Core, authority: Authority
) -> None:
    station = await core.booted()
    station.answers["CertificateSigned"] = {"status": "Rejected"}
    station.answers["GetConfiguration"] = {"unknownKey": ["CertificateSignedMaxChainSize"]}
    await request(station)
    assert (await ended(core)).status == "Rejected"
    assert len(station.payloads("CertificateSigned")) == 1


async def test_nonsense_is_no_signing_request(core: Core, authority: Authority) -> None:
    station = await core.booted()
    assert await request(station, "please") == {"status": "Rejected"}
    assert authority.asked == []


async def test_a_station_that_leaves_takes_its_errands_along(
    core: Core, authority: Authority
) -> None:
    authority.may_answer.clear()
    station = await core.booted()
    await request(station)
    await eventually(lambda: authority.asked)
    station.close()
    again = await core.booted()  # is served at once
    assert (await again.call("Heartbeat", {}))["currentTime"]


def max_chain(value: str) -> dict[str, Any]:
    entry = {"key": "CertificateSignedMaxChainSize", "readonly": True, "value": value}
    return {"configurationKey": [entry]}
