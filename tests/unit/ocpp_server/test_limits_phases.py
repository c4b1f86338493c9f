"""Phases at a station: what it is told, and what is told of it, while time is ours."""

from typing import Any

import pytest

from ocpp_server.domain.timestamps import format_timestamp
from shared.contracts.charging import (
    ApplySetpoint,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.site import SiteConfig
from tests.ocpp_core import Core, FakeStation, evse, site_of

SET = "SetChargingProfile"


@pytest.fixture
def site() -> SiteConfig:
    return site_of(evse(switches_phases=True, fallback_a=6))


async def order(core: Core, revision: int, limit_a: float, phases: int | None) -> SetpointApplied:
    await core.operator.send(
        ApplySetpoint(
            station_id="CP1",
            evse_id="bay-1",
            connector=1,
            revision=revision,
            limit_a=limit_a,
            phases=phases,
            lease_s=300,
            reason=Reason(code=ReasonCode.CIRCUIT),
        )
    )
    return await core.event(SetpointApplied, lambda e: e.revision == revision)


async def draws(core: Core, station: FakeStation, *amps: float) -> None:
    """The station tells what flows now."""
    samples = [
        {"value": f"{ampere:g}", "measurand": "Current.Import", "phase": f"L{number}"}
        for number, ampere in enumerate(amps, 1)
    ]
    value = {"timestamp": format_timestamp(core.clock.now()), "sampledValue": samples}
    await station.call("MeterValues", {"connectorId": 1, "meterValue": [value]})
    await station.idle()


async def charging(core: Core) -> FakeStation:
    """Return a station at which a car draws 10 A on three phases, as ordered."""
    station = await core.booted()
    await order(core, 1, 10, 3)
    start = {
        "connectorId": 1,
        "idTag": "GOOD",
        "meterStart": 5,
        "timestamp": format_timestamp(core.clock.now()),
    }
    await station.call("StartTransaction", start)
    await draws(core, station, 10, 10, 10)
    return station


def sent(station: FakeStation) -> list[tuple[float, int | None]]:
    """Return (limit, numberPhases) of every profile, in order."""
    found: list[tuple[float, int | None]] = []
    for payload in station.payloads(SET):
        schedule: dict[str, Any] = payload["csChargingProfiles"]["chargingSchedule"]
        period = schedule["chargingSchedulePeriod"][0]
        found.append((period["limit"], period.get("numberPhases")))
    return found


async def test_what_is_held_back_is_sent_when_one_phase_is_seen(core: Core) -> None:
    station = await charging(core)
    assert (await order(core, 2, 16, 1)).limit_a == 10
    assert sent(station)[-1] == (10, 1)
    await draws(core, station, 10, 0, 0)
    core.later(1)
    told = await core.event(SetpointApplied, lambda e: e.revision == 2 and e.limit_a == 16)
    assert told.outcome is SetpointOutcome.ACCEPTED
    assert sent(station)[-1] == (16, 1)
    count = len(sent(station))
    core.later(1)
    await station.idle()
    assert len(sent(station)) == count


async def test_a_box_that_does_not_leave_its_phases_has_failed_and_gets_no_more(
    core: Core,
) -> None:
    station = await charging(core)
    await order(core, 2, 16, 1)
    core.later(121)
    await draws(core, station, 10, 10, 10)
    failed = await order(core, 3, 16, 1)
    assert (failed.outcome, failed.limit_a) == (SetpointOutcome.FAILED, 10)
    assert "3 phases" in failed.detail
    assert max(limit for limit, _ in sent(station)) == 10
    assert (await order(core, 4, 12, 3)).outcome is SetpointOutcome.ACCEPTED


async def test_a_lower_limit_is_never_held_back(core: Core) -> None:
    station = await charging(core)
    assert (await order(core, 2, 7, 1)).limit_a == 7
    assert sent(station)[-1] == (7, 1)


async def test_the_fallback_is_for_three_phases(core: Core) -> None:
    station = await charging(core)
    await order(core, 2, 7, 1)
    core.later(301)
    expired = await core.event(
        SetpointApplied, lambda e: e.outcome is SetpointOutcome.LEASE_EXPIRED
    )
    assert expired.limit_a == 6
    assert sent(station)[-1] == (6, None)


async def test_after_a_boot_the_phases_are_told_again(core: Core) -> None:
    station = await charging(core)
    await draws(core, station, 10, 0, 0)
    await order(core, 2, 12, 1)
    station.calls.clear()
    await station.boot()
    await station.idle()
    assert sent(station)[-1] == (12, 1)
