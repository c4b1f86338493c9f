"""State and measurements of the present steer; those of the past do not."""

from typing import Any

import pytest

from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.site import SiteConfig
from shared.units import PhaseAmps
from tests.ocpp_core import Core, FakeStation, evse, site_of

NOW = "2026-01-01T12:00:00Z"
HOURS_AGO = "2026-01-01T08:00:00Z"
START = {"connectorId": 1, "idTag": "GOOD", "meterStart": 5, "timestamp": NOW}


def status(name: str, connector: int = 1, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"connectorId": connector, "errorCode": "NoError", "status": name}
    return values | changes


def metering(amps: float, *, at: str = NOW, **changes: Any) -> dict[str, Any]:
    sample = {"value": str(amps), "measurand": "Current.Import", "phase": "L1", "unit": "A"}
    return {
        "connectorId": 1,
        "meterValue": [{"timestamp": at, "sampledValue": [sample]}],
    } | changes


def amps(value: float | None) -> PhaseAmps:
    return PhaseAmps(l1=value)


async def last(core: Core, station: FakeStation) -> EvseObserved:
    """Return the newest observation after everything said before."""
    await station.call("Heartbeat", {})
    await core.facilities.announcer.flush()
    seen = len(core.events(EvseObserved))
    await station.call("Heartbeat", {})
    return await core.event(EvseObserved, lambda _: len(core.events(EvseObserved)) > seen)


async def test_a_status_is_observed(core: Core) -> None:
    station = await core.booted()
    await station.call("StatusNotification", status("Charging", timestamp=NOW))
    assert (await last(core, station)).state is EvseState.C


async def test_a_replayed_status_is_answered_and_does_not_steer(core: Core) -> None:
    station = await core.booted()
    await station.call("StatusNotification", status("Charging", timestamp=NOW))
    await station.call("StatusNotification", status("Available", timestamp=HOURS_AGO))
    assert (await last(core, station)).state is EvseState.C


@pytest.mark.parametrize("connector", [0, 2, 999])
async def test_connectors_that_are_no_evse_are_answered(core: Core, connector: int) -> None:
    station = await core.booted()
    assert await station.call("StatusNotification", status("Faulted", connector)) == {}
    assert await station.call("MeterValues", metering(6, connectorId=connector)) == {}
    assert (await last(core, station)).state is None


async def test_meter_values_are_observed(core: Core) -> None:
    station = await core.booted()
    assert await station.call("MeterValues", metering(16)) == {}
    assert (await last(core, station)).current_a == amps(16)


async def test_replayed_meter_values_do_not_steer(core: Core) -> None:
    station = await core.booted()
    await station.call("MeterValues", metering(0, at=HOURS_AGO))
    assert (await last(core, station)).current_a is None


async def test_meter_values_of_another_transaction_do_not_steer(core: Core) -> None:
    station = await core.booted()
    running = (await station.call("StartTransaction", START))["transactionId"]
    await station.call("MeterValues", metering(16, transactionId=running))
    await station.call("MeterValues", metering(0, transactionId=running + 5))
    assert (await last(core, station)).current_a == amps(16)


async def test_closing_meter_values_do_not_revive_a_session(core: Core) -> None:
    station = await core.booted()
    running = (await station.call("StartTransaction", START))["transactionId"]
    stop = {"transactionId": running, "meterStop": 9, "timestamp": NOW}
    await station.call("StopTransaction", stop)
    await station.call("MeterValues", metering(0, transactionId=running))
    assert (await last(core, station)).transaction_id is None


async def test_a_measurement_that_is_not_renewed_becomes_unknown(core: Core) -> None:
    station = await core.booted()
    await station.call("MeterValues", metering(16))
    core.later(61)
    assert (await core.event(EvseObserved, lambda e: e.current_a is None)).online
    assert (await last(core, station)).current_a is None


async def test_without_a_timestamp_the_arrival_counts(core: Core) -> None:
    station = await core.booted()
    payload = metering(16)
    del payload["meterValue"][0]["timestamp"]
    await station.call("MeterValues", payload)
    assert (await last(core, station)).current_a == amps(16)


async def test_signed_meter_values_are_kept_before_the_answer(core: Core) -> None:
    station = await core.booted()
    running = (await station.call("StartTransaction", START))["transactionId"]
    raw = '{"signedMeterValue":"\\u00e4","publicKey":""}'
    payload = metering(16, transactionId=running)
    payload["meterValue"][0]["sampledValue"].append({"value": raw, "format": "SignedData"})
    assert await station.call("MeterValues", payload) == {}
    assert await core.ledger.signed_texts(running) == [raw]
    assert (await last(core, station)).current_a == amps(16)


async def test_a_card_is_seen_where_a_car_waits(core: Core) -> None:
    station = await core.booted()
    assert await station.call("Authorize", {"idTag": "GOOD"}) == {
        "idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}
    }
    observed = await last(core, station)
    assert (observed.token, observed.token_seen) == ("GOOD", 1)
    await station.call("StartTransaction", START | {"idTag": "good"})
    assert (await last(core, station)).token_seen == 1


class TestTwoOutlets:
    """A box with two connectors."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(evse(1), evse(2))

    async def test_a_card_with_a_car_at_one_outlet_belongs_there(self, core: Core) -> None:
        station = await core.booted()
        await station.call("StatusNotification", status("Available", 1))
        await station.call("StatusNotification", status("Preparing", 2))
        await station.call("Authorize", {"idTag": "GOOD"})
        seen = await core.event(EvseObserved, lambda e: e.token is not None)
        assert seen.evse_id == "bay-2"

    async def test_a_card_with_cars_at_both_belongs_to_neither(self, core: Core) -> None:
        station = await core.booted()
        for connector in (1, 2):
            await station.call("StatusNotification", status("Preparing", connector))
        await station.call("Authorize", {"idTag": "GOOD"})
        await last(core, station)
        assert not any(event.token for event in core.events(EvseObserved))


@pytest.mark.parametrize(
    ("tag", "answer"), [("BLOCKED", "Blocked"), ("EXPIRED", "Expired"), ("NOBODY", "Invalid")]
)
async def test_tokens_are_answered_as_configured(core: Core, tag: str, answer: str) -> None:
    station = await core.booted()
    assert (await station.call("Authorize", {"idTag": tag}))["idTagInfo"]["status"] == answer


@pytest.mark.parametrize(
    ("action", "payload", "answer"),
    [
        ("DataTransfer", {"vendorId": "V"}, {"status": "UnknownVendorId"}),
        ("DiagnosticsStatusNotification", {"status": "Idle"}, {}),
        ("FirmwareStatusNotification", {"status": "Idle"}, {}),
        ("LogStatusNotification", {"status": "Idle"}, {}),
        ("SignedFirmwareStatusNotification", {"status": "Idle"}, {}),
        ("SecurityEventNotification", {"type": "X", "timestamp": NOW}, {}),
    ],
)
async def test_notices_are_answered(
    core: Core, action: str, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    station = await core.booted()
    assert await station.call(action, payload) == answer


@pytest.mark.parametrize("action", ["Reset", "CertificateSigned", "Dance"])
async def test_what_is_not_answered_here_is_not_implemented(core: Core, action: str) -> None:
    station = await core.connect()
    assert await station.call(action, {}) == "NotImplemented"
