"""The history's writer: what it keeps, and what it does while the database is away."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from api.domain.samples import Sample
from api.recorder import BATCH, Recorder
from api.storage.samples import SampleStore
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.site import SiteConfig
from shared.errors import StoreUnavailable
from shared.units import PhaseAmps

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = SiteConfig.model_validate(
    {
        "evses": [{"id": "bay", "station": "Box", "circuit": "main"}],
        "meters": [{"id": "m", "circuit": "main", "modbus": {"template": "t", "host": "h"}}],
    }
)


class FakeStore(SampleStore):
    """Rows in a list, and a switch that takes the database away."""

    def __init__(self) -> None:
        self.rows: list[Sample] = []
        self.batches: list[int] = []
        self.is_away = False

    async def add(self, batch: Sequence[Sample]) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.batches.append(len(batch))
        self.rows.extend(batch)


def recorder(store: FakeStore) -> Recorder:
    return Recorder(store, SITE, interval=timedelta(seconds=10))


def seen(second: float, evse_id: str = "bay") -> EvseObserved:
    return EvseObserved(
        evse_id=evse_id,
        station_id="Box",
        connector=1,
        epoch=1,
        observed_at=NOON + timedelta(seconds=second),
        online=True,
        state=EvseState.C,
    )


async def test_one_row_is_written_for_each_source_and_interval() -> None:
    store = FakeStore()
    writer = recorder(store)
    for second in range(25):
        writer.take(seen(second), offered_a=16)
        writer.take(
            MeterSampled(
                meter_id="m", sampled_at=NOON + timedelta(seconds=second), current_a=PhaseAmps()
            )
        )
    writer.take(seen(0, "elsewhere"))
    await writer.flush()
    assert [(row.source, row.at.second) for row in store.rows] == [
        ("bay", 0),
        ("m", 0),
        ("bay", 10),
        ("m", 10),
        ("bay", 20),
        ("m", 20),
    ]
    assert store.rows[0].offered_a == 16


async def test_rows_wait_in_order_while_the_database_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeStore()
    writer = recorder(store)
    store.is_away = True
    for second in (0, 10, 20):
        writer.take(seen(second))
        await writer.flush()
    store.is_away = False
    await writer.flush()
    assert [row.at.second for row in store.rows] == [0, 10, 20]
    assert [record.message for record in caplog.records] == ["history waits: away"]


async def test_rows_are_written_in_batches() -> None:
    store = FakeStore()
    writer = recorder(store)
    for number in range(BATCH + 1):
        writer.take(seen(10 * number))
    await writer.flush()
    assert store.batches == [BATCH, 1]


async def test_an_evse_that_left_the_site_is_recorded_no_more() -> None:
    store = FakeStore()
    writer = recorder(store)
    writer.take(seen(0))
    writer.use_site(SiteConfig())
    writer.take(seen(60))
    await writer.flush()
    assert len(store.rows) == 1
