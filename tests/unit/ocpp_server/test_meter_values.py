"""Meter values in all their spellings."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ocpp_server.domain.meter_values import Reading, reading_of
from ocpp_server.domain.sampled_values import merged, read_samples
from shared.units import PhaseAmps


def read_values(entries: list[dict[str, Any]], *, phases: int) -> Reading:
    return reading_of(merged(read_samples(entries)), phases=phases)


def entry(*samples: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": list(samples)} | fields


def sample(value: Any, measurand: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {} if measurand is None else {"measurand": measurand}
    return {"value": value} | named | fields


def currents(*values: float, phase: str = "L{}") -> list[dict[str, Any]]:
    return [
        sample(str(value), "Current.Import", phase=phase.format(n), unit="A")
        for n, value in enumerate(values, 1)
    ]


def test_a_value_without_measurand_is_the_energy_register_in_wh() -> None:
    assert read_values([entry(sample("1234"))], phases=3) == Reading(energy_wh=1234.0)


@pytest.mark.parametrize("phase", ["L{}", "L{}-N"])
def test_currents_are_told_per_phase(phase: str) -> None:
    reading = read_values([entry(*currents(16, 15.5, 0, phase=phase))], phases=3)
    assert reading.current_a == PhaseAmps(l1=16, l2=15.5, l3=0)


def test_a_phase_that_is_not_told_is_unknown() -> None:
    reading = read_values([entry(*currents(16))], phases=3)
    assert reading.current_a == PhaseAmps(l1=16, l2=None, l3=None)


def test_a_current_without_phase_counts_on_every_wired_phase() -> None:
    one = entry(sample("10", "Current.Import", unit="A"))
    assert read_values([one], phases=3).current_a == PhaseAmps(l1=10, l2=10, l3=10)
    assert read_values([one], phases=1).current_a == PhaseAmps(l1=10)


@pytest.mark.parametrize(
    ("value", "unit", "expected_w"),
    [
        ("7360", "W", 7360),
        ("7.36", "kW", 7360),
        (" 7,36 ", "kW", 7360),
        ("7360", None, 7360),
        ("7360000", "mW", 7360),
    ],
)
def test_power_in_every_unit_is_watt(value: str, unit: str | None, expected_w: float) -> None:
    reading = read_values([entry(sample(value, "Power.Active.Import", unit=unit))], phases=3)
    assert reading.power_w == pytest.approx(expected_w)


@pytest.mark.parametrize(
    ("value", "unit"), [("x", "W"), ("NaN", "W"), ("1e999", "W"), (None, "W"), ("7", "Hertz")]
)
def test_nonsense_is_unknown_and_never_zero(value: Any, unit: str) -> None:
    reading = read_values([entry(sample(value, "Power.Active.Import", unit=unit))], phases=3)
    assert reading.is_empty


def test_currents_come_from_power_per_phase_when_none_are_told() -> None:
    powers = [sample("2300", "Power.Active.Import", phase=f"L{n}", unit="W") for n in (1, 2, 3)]
    voltages = [sample("240", "Voltage", phase="L1", unit="V")]
    reading = read_values([entry(*powers, *voltages)], phases=3)
    assert reading.current_a is not None
    assert reading.current_a.l1 == pytest.approx(2300 / 240)
    assert reading.current_a.l2 == pytest.approx(10)
    assert reading.power_w == 6900


def test_the_power_of_a_one_phase_box_tells_its_current() -> None:
    reading = read_values([entry(sample("2300", "Power.Active.Import", unit="W"))], phases=1)
    assert reading.current_a == PhaseAmps(l1=10)


def test_one_power_of_a_three_phase_box_does_not_tell_how_many_phases_are_used() -> None:
    reading = read_values([entry(sample("3680", "Power.Active.Import", unit="W"))], phases=3)
    assert reading.current_a is None


def test_no_power_is_no_current_on_any_phase() -> None:
    reading = read_values([entry(sample("0", "Power.Active.Import", unit="W"))], phases=3)
    assert reading.current_a == PhaseAmps(l1=0, l2=0, l3=0)


def test_energy_per_phase_is_summed() -> None:
    samples = [
        sample("1", "Energy.Active.Import.Register", phase=f"L{n}", unit="kWh") for n in (1, 2, 3)
    ]
    assert read_values([entry(*samples)], phases=3).energy_wh == 3000


def test_the_offered_current_is_the_highest_told() -> None:
    samples = [sample(str(n), "Current.Offered", phase=f"L{n}", unit="A") for n in (1, 2, 3)]
    assert read_values([entry(*samples)], phases=3).offered_a == 3


def test_later_entries_win() -> None:
    reading = read_values([entry(*currents(6)), entry(*currents(16))], phases=1)
    assert reading.current_a == PhaseAmps(l1=16)


def test_signed_values_are_never_read_as_numbers() -> None:
    raw = '{"signedMeterValue":"T0NNRg==","encodingMethod":"OCMF"}'
    signed = sample(raw, format="SignedData", context="Transaction.End")
    assert read_values([entry(signed)], phases=3).is_empty


def test_the_newest_timestamp_counts() -> None:
    entries = [
        entry(timestamp="2026-03-01T12:00:00Z"),
        entry(timestamp="2026-03-01T11:00:00Z"),
        entry(timestamp="nope"),
    ]
    assert merged(read_samples(entries)).at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert merged(read_samples([entry(timestamp=None)])).at is None


@pytest.mark.parametrize("samples", [None, [], [{}]])
def test_entries_without_values_tell_nothing(samples: Any) -> None:
    assert read_values([{"sampledValue": samples}], phases=3).is_empty
