"""Which observations become rows of the history."""

from datetime import UTC, datetime, timedelta

import pytest

from api.domain.samples import Sample, evse_sample, is_due, meter_sample
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.meter import MeterSampled
from shared.units import PhaseAmps

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def sample(second: float, state: str = "C") -> Sample:
    at = NOON + timedelta(seconds=second)
    return Sample(source="bay", kind="evse", at=at, state=state)


@pytest.mark.parametrize(
    ("last", "new", "kept"),
    [
        (None, sample(0), True),
        (sample(0), sample(9.9), False),
        (sample(0), sample(10), True),
        (sample(0), sample(1, "B"), True),
        (sample(20), sample(10), False),
    ],
)
def test_a_row_is_kept_at_first_at_changes_and_in_intervals(
    last: Sample | None, new: Sample, kept: bool
) -> None:
    assert is_due(last, new, timedelta(seconds=10)) is kept


def test_unknown_values_stay_unknown() -> None:
    seen = EvseObserved(
        evse_id="bay", station_id="s", connector=1, epoch=1, observed_at=NOON, online=True
    )
    row = evse_sample(seen, offered_a=None)
    assert (row.state, row.l1_a, row.power_w, row.offered_a) == (None, None, None, None)


def test_the_last_word_of_a_silent_station_is_no_present_state() -> None:
    seen = EvseObserved(
        evse_id="bay",
        station_id="s",
        connector=1,
        epoch=1,
        observed_at=NOON,
        online=False,
        state=EvseState.C,
    )
    assert evse_sample(seen, offered_a=6).state is None


def test_a_meter_row_has_all_registers() -> None:
    fact = MeterSampled(
        meter_id="m",
        sampled_at=NOON,
        current_a=PhaseAmps(l1=1, l2=2, l3=3),
        power_w=4,
        energy_import_wh=5,
        energy_export_wh=6,
    )
    row = meter_sample(fact)
    assert (row.l1_a, row.l2_a, row.l3_a) == (1, 2, 3)
    assert (row.power_w, row.energy_wh, row.energy_export_wh) == (4, 5, 6)
