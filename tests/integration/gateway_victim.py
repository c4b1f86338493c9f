"""A gateway in a process of its own, made to be killed: ``URL DATA_DIR FIRST_FRAME``.

Publishes the frames of ``FRAMES`` from the given one on and prints the number of each that is safe.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway import service
from gateway.settings import GatewaySettings
from gateway.uplink import Patience
from shared.bus.memory import MemoryBus
from shared.bus.port import Delivery
from shared.contracts.evse import EvseObserved
from shared.contracts.message import service_address
from shared.contracts.ocpp import FrameReceived
from shared.contracts.site import GetSite, SiteAnswer, SiteConfig
from shared.health import Health

BOX = "BOX"
CLIENT_ID = "CP"
TRANSACTIONS = 8
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def frame(number: int) -> FrameReceived:
    """Return one of the frames that a busy afternoon consists of."""
    transaction, step = divmod(number, 5)
    moment = BEGAN + timedelta(minutes=number)
    stamp = moment.isoformat().replace("+00:00", "Z")
    local_id = 100 + transaction
    texts = {
        0: (
            "StartTransaction",
            f'{{"connectorId":1,"idTag":"T{transaction}","meterStart":{number},'
            f'"timestamp":"{stamp}"}}',
        ),
        4: (
            "StopTransaction",
            f'{{"transactionId":{local_id},"meterStop":{number},"timestamp":"{stamp}"}}',
        ),
    }
    sample = (
        "MeterValues",
        f'{{"connectorId":1,"transactionId":{local_id},"meterValue":[{{"timestamp":"{stamp}",'
        f'"sampledValue":[{{"value":"{number}"}}]}}]}}',
    )
    action, text = texts.get(step, sample)
    return FrameReceived(
        frame_id=f"frame-{number}",
        station_id=BOX,
        epoch=1,
        action=action,
        payload_text=text,
        received_at=moment,
        transaction_id=local_id,
        connector=1,
    )


FRAMES = [frame(number) for number in range(5 * TRANSACTIONS)]


def site(url: str) -> SiteConfig:
    """Return a garage with the one station."""
    return SiteConfig.model_validate(
        {
            "revision": 1,
            "circuits": [{"id": "main", "limit_a": 32}],
            "stations": [{"id": BOX, "protocol": "ocpp"}],
            "evses": [
                {
                    "id": "bay",
                    "station": BOX,
                    "circuit": "main",
                    "backend": {"url": url, "client_id": CLIENT_ID},
                }
            ],
        }
    )


async def main(url: str, data: Path, first: int) -> None:
    """Run until killed."""
    hub = MemoryBus(services=frozenset({"gateway"}))
    bus = hub.join("ocpp-server")

    async def answer(_: Delivery[GetSite]) -> SiteAnswer:
        return SiteAnswer(site=site(url))

    async def nobody(_address: Any, _epoch: int) -> None:
        return None

    inbox = await bus.inbox(nobody)
    inbox.on(GetSite, answer)
    await inbox.own(service_address("site"), 1)
    settings = GatewaySettings(data_dir=data, _env_file=None)
    patience = Patience(first_pause_s=0.05, longest_pause_s=0.1, look_again_s=0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            service.run(
                settings, hub.join("gateway"), clock=hub.clock, health=Health(), patience=patience
            )
        )
        await bus.publish(_seen(hub))
        for number in range(first, len(FRAMES)):
            await bus.publish(FRAMES[number])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def _seen(hub: MemoryBus) -> EvseObserved:
    return EvseObserved(
        evse_id="bay",
        station_id=BOX,
        connector=1,
        epoch=1,
        observed_at=hub.clock.now(),
        online=True,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
