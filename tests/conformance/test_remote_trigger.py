"""Area RemoteTrigger."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.conformance.bench import Bench, meter, plug_in_and_charge, status, stop_and_leave
from tests.conformance.charge_point import ChargePoint
from tests.conformance.settings import CONNECTORS

Sends = Callable[[], Awaitable[Any]]
_DIAGNOSTICS = "DiagnosticsStatusNotification"
_FIRMWARE = "FirmwareStatusNotification"


async def _trigger(
    bench: Bench, station: ChargePoint, wish: dict[str, Any], *, triggered: Sends
) -> None:
    before = station.received("TriggerMessage").count(wish)
    station.answer("TriggerMessage", {"status": "Accepted"}, **wish)
    assert await bench.operator.call("TriggerMessage", wish) == {"status": "Accepted"}
    assert station.received("TriggerMessage").count(wish) == before + 1
    await triggered()


async def test_tc_054_trigger_message(bench: Bench) -> None:
    """Trigger Message"""
    async with bench.booted() as station:
        transaction = await plug_in_and_charge(station)

        async def tell_idle(action: str) -> None:
            assert await station.call(action, {"status": "Idle"}) == {}

        wishes: tuple[tuple[str, int | None, Sends], ...] = (
            ("MeterValues", 1, lambda: meter(station, transaction, energy_wh=1600)),
            ("Heartbeat", None, lambda: station.call("Heartbeat", {})),
            ("StatusNotification", 1, lambda: status(station, "Charging")),
            (_DIAGNOSTICS, None, lambda: tell_idle(_DIAGNOSTICS)),
            (_FIRMWARE, None, lambda: tell_idle(_FIRMWARE)),
        )
        for message, connector, triggered in wishes:
            where = {} if connector is None else {"connectorId": connector}
            wish = {"requestedMessage": message, **where}
            await _trigger(bench, station, wish, triggered=triggered)
        await stop_and_leave(station, transaction, "Local")


async def test_tc_055_trigger_message_rejected(bench: Bench) -> None:
    """Trigger Message - Rejected"""
    wish = {"requestedMessage": "MeterValues", "connectorId": CONNECTORS + 1}
    async with bench.booted() as station:
        station.answer("TriggerMessage", {"status": "Rejected"}, **wish)
        assert await bench.operator.call("TriggerMessage", wish) == {"status": "Rejected"}
        assert wish in station.received("TriggerMessage")
