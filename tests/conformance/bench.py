"""The test bench of one case: its station, its operator, and what stations usually do."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import SYSTEM_CLOCK
from tests.conformance.cases import Case
from tests.conformance.charge_point import ChargePoint
from tests.conformance.rest import Operator
from tests.conformance.running import Parkade
from tests.conformance.scripts import Payload
from tests.conformance.settings import CONNECTORS
from tests.conformance.site import VALID, evse_of, station_of

BOOT = {
    "chargePointVendor": "Parkade",
    "chargePointModel": "Conformance",
    "chargePointSerialNumber": "0001",
    "firmwareVersion": "1.0.0",
}


def timestamp(at: datetime | None = None) -> str:
    """Return a moment, by default this one, as OCPP writes it."""
    moment = at or SYSTEM_CLOCK.now()
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(seconds: float) -> datetime:
    """Return the moment so many seconds ago, in full seconds."""
    return SYSTEM_CLOCK.now().replace(microsecond=0) - timedelta(seconds=seconds)


@dataclass(frozen=True)
class Bench:
    """What a test of one case works with."""

    parkade: Parkade
    case: Case
    operator: Operator

    @property
    def evse(self) -> str:
        """The EVSE at connector 1 of the station."""
        return evse_of(self.case)

    def station(self, **options: Any) -> ChargePoint:
        """Return the station of the case, not yet connected."""
        values = {"url": self.parkade.plain_url, "identity": station_of(self.case)}
        return ChargePoint(**(values | options))

    @contextlib.asynccontextmanager
    async def booted(self, **options: Any) -> AsyncIterator[ChargePoint]:
        """Connect the station, boot it, and keep it until the block ends."""
        async with self.station(**options) as station:
            await boot(station)
            yield station


async def boot(station: ChargePoint) -> Payload:
    """Boot: must be accepted; then tell the state of all connectors."""
    answer = await station.call("BootNotification", BOOT)
    assert answer["status"] == "Accepted", answer
    for connector in range(CONNECTORS + 1):
        await status(station, "Available", connector=connector)
    return answer


async def reset_and_boot(station: ChargePoint) -> None:
    """Go down after a reset and come up again."""
    await station.reconnect()
    await boot(station)


async def status(
    station: ChargePoint, word: str, *, connector: int = 1, error: str = "NoError"
) -> None:
    """Tell a connector's status; must be answered with nothing."""
    payload = {
        "connectorId": connector,
        "errorCode": error,
        "status": word,
        "timestamp": timestamp(),
    }
    assert await station.call("StatusNotification", payload) == {}


async def authorize(station: ChargePoint, tag: str = VALID) -> Payload:
    """Ask whether a tag may charge; return what is said of it."""
    info: Payload = (await station.call("Authorize", {"idTag": tag}))["idTagInfo"]
    return info


async def start(
    station: ChargePoint, tag: str = VALID, *, at: datetime | None = None, **more: Any
) -> Payload:
    """Start a transaction at connector 1; the answer always has a usable id."""
    payload = {"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": timestamp(at)}
    answer = await station.call("StartTransaction", payload | more)
    assert 0 < answer["transactionId"] < 2**31, answer
    return answer


async def charge(station: ChargePoint, tag: str = VALID, **more: Any) -> int:
    """Start a transaction that must be accepted, and charge; return its id."""
    answer = await start(station, tag, **more)
    assert answer["idTagInfo"]["status"] == "Accepted", answer
    await status(station, "Charging")
    transaction: int = answer["transactionId"]
    await meter(station, transaction, energy_wh=1500)
    return transaction


async def plug_in_and_charge(station: ChargePoint, tag: str = VALID) -> int:
    """Plug in, show a card, charge; return the transaction's id."""
    await status(station, "Preparing")
    info = await authorize(station, tag)
    assert info["status"] == "Accepted", info
    return await charge(station, tag)


async def meter(station: ChargePoint, transaction: int, *, energy_wh: int) -> None:
    """Tell the meter of connector 1; must be answered with nothing."""
    sample = {
        "value": str(energy_wh),
        "context": "Sample.Periodic",
        "measurand": "Energy.Active.Import.Register",
        "unit": "Wh",
    }
    payload = {
        "connectorId": 1,
        "transactionId": transaction,
        "meterValue": [{"timestamp": timestamp(), "sampledValue": [sample]}],
    }
    assert await station.call("MeterValues", payload) == {}


async def stop(
    station: ChargePoint, transaction: int, reason: str, *, at: datetime | None = None, **more: Any
) -> Payload:
    """Stop a transaction at 3000 Wh; must be answered."""
    payload = {
        "transactionId": transaction,
        "meterStop": 3000,
        "timestamp": timestamp(at),
        "reason": reason,
    }
    return await station.call("StopTransaction", payload | more)


async def stop_and_leave(station: ChargePoint, transaction: int, reason: str, **more: Any) -> None:
    """Stop a transaction, and let the car leave."""
    await stop(station, transaction, reason, **more)
    await status(station, "Finishing")
    await status(station, "Available")
