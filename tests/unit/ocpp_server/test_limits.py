"""Limits at a station: base, lease, silence, release, deletion."""

from typing import Any

import pytest

from ocpp_server.domain.jitter import spread
from ocpp_server.habits import Habits
from ocpp_server.station import Station
from shared.contracts.charging import (
    ApplySetpoint,
    ClearProfiles,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.message import ActionOutcome
from shared.contracts.site import DeactivationPolicy, Mode, SiteConfig
from tests.conditions import eventually
from tests.ocpp_core import Core, FakeStation, evse, site_of

SET = "SetChargingProfile"
REJECTED = {"status": "Rejected"}
ACCEPTED = {"status": "Accepted"}


async def order(core: Core, revision: int, limit_a: float, **changes: Any) -> None:
    values: dict[str, Any] = {
        "station_id": "CP1",
        "evse_id": "bay-1",
        "connector": 1,
        "revision": revision,
        "limit_a": limit_a,
        "lease_s": 100,
        "reason": Reason(code=ReasonCode.MAXIMUM),
    }
    await core.operator.send(ApplySetpoint(**(values | changes)))


async def outcome(core: Core, revision: int) -> SetpointApplied:
    return await core.event(SetpointApplied, lambda e: e.revision == revision)


async def set_up(core: Core) -> FakeStation:
    """Return a station that has booted, holds its base and is configured."""
    station = await core.booted()
    await idle(station)
    return station


async def idle(station: FakeStation) -> None:
    """Wait until the driver has nothing left to say."""
    await station.idle()


def levels(station: FakeStation) -> list[tuple[int, float]]:
    """Return (stack level, limit) of every profile that was sent."""
    profiles = [payload["csChargingProfiles"] for payload in station.payloads(SET)]
    return [
        (p["stackLevel"], p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"])
        for p in profiles
    ]


def settings(station: FakeStation) -> dict[str, str]:
    return {p["key"]: p["value"] for p in station.payloads("ChangeConfiguration")}


async def test_after_boot_the_base_says_that_charging_is_not_permitted(core: Core) -> None:
    station = await set_up(core)
    payload = await station.was_called(SET)
    assert payload["connectorId"] == 1
    assert levels(station) == [(0, 0.0)]


async def test_nothing_is_sent_before_the_boot_is_answered(core: Core) -> None:
    station = await core.connect()
    await order(core, 1, 16)
    await idle(station)
    assert station.calls == []
    await station.boot()
    assert station.frames()[0][0] == 3
    assert (await outcome(core, 1)).outcome is SetpointOutcome.ACCEPTED


async def test_a_setpoint_is_sent_and_reported(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 10.25)
    reported = await outcome(core, 1)
    assert (reported.evse_id, reported.limit_a, reported.outcome) == (
        "bay-1",
        10.25,
        SetpointOutcome.ACCEPTED,
    )
    assert levels(station)[-1] == (1, 10.2)


async def test_the_latest_of_many_setpoints_is_sent(core: Core) -> None:
    station = await set_up(core)
    for revision, limit_a in ((1, 6), (2, 8), (3, 13)):
        await order(core, revision, limit_a)
    await outcome(core, 3)
    await idle(station)
    assert levels(station)[-1] == (1, 13.0)


async def test_the_same_limit_is_confirmed_without_being_sent_again(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    await outcome(core, 1)
    sent = len(station.payloads(SET))
    core.clock.advance(40)
    await order(core, 2, 16)
    assert (await outcome(core, 2)).outcome is SetpointOutcome.ACCEPTED
    assert len(station.payloads(SET)) == sent
    core.clock.advance(20)
    await order(core, 3, 16)
    await outcome(core, 3)
    assert len(station.payloads(SET)) == sent + 1


async def test_a_refusing_box_is_reported_and_not_pestered(core: Core) -> None:
    station = await set_up(core)
    station.answers[SET] = REJECTED
    await order(core, 1, 16)
    reported = await outcome(core, 1)
    assert (reported.outcome, reported.detail) == (SetpointOutcome.REFUSED, "Rejected")
    sent = len(station.payloads(SET))
    core.later(5)
    await idle(station)
    assert len(station.payloads(SET)) == sent


async def test_a_limit_that_may_or_may_not_be_there_is_sent_again(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    await outcome(core, 1)
    station.answers[SET] = REJECTED
    await order(core, 2, 10)
    await outcome(core, 2)
    station.answers[SET] = {"status": "Accepted"}
    await order(core, 3, 16)
    await outcome(core, 3)
    assert levels(station)[-1] == (1, 16.0)


async def test_a_silent_box_is_a_failure(core: Core) -> None:
    core.registry.site_changed(
        site_of(revision=2, ocpp_server={"call_timeout_s": 0.05})  # type: ignore[arg-type]
    )
    station = await set_up(core)
    station.answers[SET] = None
    await order(core, 1, 16)
    assert (await outcome(core, 1)).outcome is SetpointOutcome.FAILED


async def test_silence_of_load_management_is_obeyed_while_connected(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    await outcome(core, 1)
    core.later(99)
    await idle(station)
    assert levels(station)[-1] == (1, 16.0)
    core.later(1)
    expired = await core.event(
        SetpointApplied, lambda e: e.outcome is SetpointOutcome.LEASE_EXPIRED
    )
    assert (expired.revision, expired.limit_a) == (1, 0.0)
    assert levels(station)[-1] == (1, 0.0)


async def test_after_silence_the_same_limit_is_sent_again(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    await outcome(core, 1)
    core.later(101)
    await idle(station)
    await order(core, 2, 16)
    await outcome(core, 2)
    assert levels(station)[-1] == (1, 16.0)


async def test_a_reboot_gets_everything_again(core: Core) -> None:
    station = await set_up(core)
    await order(core, 1, 16)
    await outcome(core, 1)
    station.calls.clear()
    await station.boot()
    await idle(station)
    assert levels(station) == [(0, 0.0), (1, 16.0)]
    assert "HeartbeatInterval" in settings(station)


async def test_a_base_that_is_refused_is_tried_again_later(core: Core) -> None:
    station = await core.connect()
    station.answers[SET] = REJECTED
    await station.boot()
    await idle(station)
    tried = len(levels(station))
    core.later(59)
    await idle(station)
    assert len(levels(station)) == tried
    station.answers[SET] = {"status": "Accepted"}
    core.later(1)
    await idle(station)
    assert levels(station)[tried:] == [(0, 0.0)]
    core.later(61)
    await idle(station)
    assert len(levels(station)) == tried + 1


async def test_a_box_that_takes_watts_gets_watts(core: Core) -> None:
    station = await core.connect()
    key = {"key": "chargingscheduleallowedchargingrateunit", "value": "Power", "readonly": True}
    station.answers["GetConfiguration"] = {"configurationKey": [key]}
    await station.boot()
    await order(core, 1, 16)
    await outcome(core, 1)
    assert levels(station)[-1] == (1, 11040.0)


async def test_a_changed_fallback_changes_the_base(core: Core) -> None:
    station = await set_up(core)
    core.registry.site_changed(site_of(evse(fallback_a=6), revision=2))
    await idle(station)
    assert levels(station)[-1] == (0, 6.0)


class TestSettings:
    """What a station is configured to."""

    async def test_they_follow_the_limits(self, core: Core) -> None:
        station = await set_up(core)
        assert settings(station)["MeterValueSampleInterval"] == "10"
        assert settings(station)["HeartbeatInterval"] == str(spread(300, "CP1"))
        assert "Current.Offered" in settings(station)["MeterValuesSampledData"]
        actions = [action for action, _ in station.calls]
        assert actions.index(SET) < actions.index("ChangeConfiguration")

    async def test_a_box_that_takes_fewer_measurands_gets_fewer(self, core: Core) -> None:
        station = await core.connect()
        station.answers["ChangeConfiguration"] = lambda call: (
            REJECTED if "Power" in call["value"] or "Offered" in call["value"] else ACCEPTED
        )
        await station.boot()
        await idle(station)
        tried = [
            p["value"]
            for p in station.payloads("ChangeConfiguration")
            if p["key"] == "MeterValuesSampledData"
        ]
        assert tried == [
            "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered",
            "Energy.Active.Import.Register",
            "Energy.Active.Import.Register,Power.Active.Import",
            "Energy.Active.Import.Register,Current.Import",
            "Energy.Active.Import.Register,Current.Import,Current.Offered",
        ]

    async def test_a_box_that_knows_no_key_is_left_alone(self, core: Core) -> None:
        station = await core.connect()
        station.answers["ChangeConfiguration"] = {"status": "NotSupported"}
        await station.boot()
        await idle(station)
        assert len(station.payloads("ChangeConfiguration")) == 3


class TestMonitorMode:
    """S1: nothing is changed at any device."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(mode=Mode.MONITOR)

    async def test_it_is_only_read(self, core: Core) -> None:
        station = await set_up(core)
        core.later(60)
        await idle(station)
        assert {action for action, _ in station.calls} == {"GetConfiguration"}

    async def test_setpoints_are_refused(self, core: Core) -> None:
        station = await set_up(core)
        await order(core, 1, 16)
        reported = await outcome(core, 1)
        assert reported.outcome is SetpointOutcome.REFUSED
        assert "monitor" in reported.detail
        assert station.payloads(SET) == []

    async def test_load_management_begins_when_it_is_switched_on(self, core: Core) -> None:
        station = await set_up(core)
        core.registry.site_changed(site_of(revision=2))
        await idle(station)
        assert levels(station) == [(0, 0.0)]


class TestRelease:
    """S9, S11: what becomes of a device that is let go."""

    async def test_switched_off(self, core: Core) -> None:
        station = await set_up(core)
        core.registry.site_changed(site_of(evse(enabled=False), revision=2))
        await idle(station)
        profile = station.payloads(SET)[-1]["csChargingProfiles"]
        assert levels(station)[-1] == (1, 0.0)
        assert "duration" not in profile["chargingSchedule"]

    async def test_left_at_its_minimum(self, core: Core) -> None:
        station = await set_up(core)
        gone = site_of(
            evse(enabled=False, min_a=8), revision=2, deactivation=DeactivationPolicy.MINIMUM
        )
        core.registry.site_changed(gone)
        await idle(station)
        assert levels(station)[-1] == (1, 8.0)

    async def test_every_limit_cancelled_and_verified(self, core: Core) -> None:
        station = await set_up(core)
        sent = len(station.payloads(SET))
        gone = site_of(
            evse(enabled=False), revision=2, deactivation=DeactivationPolicy.CANCEL_LIMITS
        )
        core.registry.site_changed(gone)
        assert await station.was_called("ClearChargingProfile") == {}
        assert (await station.was_called("GetCompositeSchedule"))["connectorId"] == 1
        await idle(station)
        assert len(station.payloads(SET)) == sent

    async def test_it_is_let_go_once(self, core: Core) -> None:
        station = await set_up(core)
        core.registry.site_changed(site_of(evse(enabled=False), revision=2))
        await idle(station)
        sent = len(station.calls)
        core.registry.site_changed(site_of(evse(enabled=False), revision=3, name="x"))
        core.later(60)
        await idle(station)
        assert len(station.calls) == sent

    async def test_setpoints_for_it_are_refused(self, core: Core) -> None:
        await set_up(core)
        core.registry.site_changed(site_of(evse(enabled=False), revision=2))
        await order(core, 1, 16)
        assert (await outcome(core, 1)).outcome is SetpointOutcome.REFUSED

    async def test_a_box_that_was_away_is_let_go_when_it_comes(self, core: Core) -> None:
        core.registry.site_changed(site_of(evse(enabled=False), revision=2))
        station = await set_up(core)
        assert levels(station) == [(1, 0.0)]

    async def test_leaving_load_management_lets_everything_go(self, core: Core) -> None:
        station = await set_up(core)
        core.registry.site_changed(site_of(revision=2, mode=Mode.MONITOR))
        await idle(station)
        assert levels(station)[-1] == (1, 0.0)

    async def test_a_removed_device_is_let_go(self, core: Core) -> None:
        station = await set_up(core)
        core.registry.site_changed(SiteConfig(revision=2))
        await idle(station)
        assert levels(station)[-1] == (1, 0.0)

    async def test_enabled_again_it_is_steered_again(self, core: Core) -> None:
        station = await set_up(core)
        cancel = DeactivationPolicy.CANCEL_LIMITS
        core.registry.site_changed(site_of(evse(enabled=False), revision=2, deactivation=cancel))
        await idle(station)
        core.registry.site_changed(site_of(revision=3, deactivation=cancel))
        await idle(station)
        assert levels(station)[-1] == (0, 0.0)
        await order(core, 1, 16)
        await outcome(core, 1)
        assert levels(station)[-1] == (1, 16.0)


class TestClearProfiles:
    """S11: the operator deletes the profiles."""

    async def clear(self, core: Core) -> ActionOutcome:
        return await core.operator.ask(ClearProfiles(station_id="CP1", connector=1), timeout_s=5)

    async def test_it_is_verified(self, core: Core) -> None:
        station = await set_up(core)
        station.answers["GetCompositeSchedule"] = REJECTED
        cleared = await self.clear(core)
        assert (cleared.done, cleared.detail) == (
            True,
            "profiles cleared, verified: no limit is left",
        )

    async def test_what_is_left_is_told(self, core: Core) -> None:
        station = await set_up(core)
        station.answers["GetCompositeSchedule"] = {
            "status": "Accepted",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}],
            },
        }
        cleared = await self.clear(core)
        assert not cleared.done
        assert "still limits to 6 A" in cleared.detail

    async def test_a_steered_box_gets_its_limits_again(self, core: Core) -> None:
        station = await set_up(core)
        await order(core, 1, 16)
        await outcome(core, 1)
        await self.clear(core)
        await idle(station)
        assert levels(station)[-2:] == [(0, 0.0), (1, 16.0)]


class TestTwoOutlets:
    """A box with two connectors."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(evse(1), evse(2))

    async def test_letting_one_go_leaves_the_other_its_limits(self, core: Core) -> None:
        station = await set_up(core)
        gone = site_of(
            evse(1),
            evse(2, enabled=False),
            revision=2,
            deactivation=DeactivationPolicy.CANCEL_LIMITS,
        )
        core.registry.site_changed(gone)
        assert await station.was_called("ClearChargingProfile") == {"connectorId": 2}

    async def test_each_outlet_has_its_own_setpoint(self, core: Core) -> None:
        station = await set_up(core)
        await order(core, 1, 16)
        await order(core, 2, 10, connector=2, evse_id="bay-2")
        await outcome(core, 1)
        await outcome(core, 2)
        sent = {p["connectorId"] for p in station.payloads(SET)[-2:]}
        assert sent == {1, 2}

    async def test_a_setpoint_for_an_outlet_that_is_no_evse_is_refused(self, core: Core) -> None:
        await set_up(core)
        await order(core, 1, 16, connector=3, evse_id="bay-3")
        assert (await outcome(core, 1)).outcome is SetpointOutcome.REFUSED


async def test_a_limit_that_comes_during_the_setting_up_goes_out_next(core: Core) -> None:
    station = await core.connect()
    station.answers["ChangeConfiguration"] = None
    await station.boot()
    await station.was_called("ChangeConfiguration")
    await order(core, 1, 16)
    frame = next(f for f in station.frames() if f[0] == 2 and f[2] == "ChangeConfiguration")
    station.say(f'[3,"{frame[1]}",{{"status":"Accepted"}}]')
    await eventually(lambda: levels(station)[-1] == (1, 16.0))


async def test_a_limit_looks_at_the_setting_up_only_when_that_may_have_changed(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = await set_up(core)
    setup = connected(core).driver.setup
    looks: list[int] = []
    look = setup.next_step
    monkeypatch.setattr(setup, "next_step", lambda: looks.append(1) or look())
    await order(core, 1, 10)
    await outcome(core, 1)
    await idle(station)
    assert looks == []
    core.registry.site_changed(site_of(revision=2))
    await idle(station)
    assert looks == [1]
    await station.boot()
    await idle(station)
    assert len(looks) > 1


async def test_the_way_that_works_is_learned_once_for_each_boot(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[str] = []
    monkeypatch.setattr(Habits, "form_worked", lambda _self, name, *_: learned.append(name))
    station = await set_up(core)
    await order(core, 1, 10)
    await order(core, 2, 11)
    await outcome(core, 2)
    assert learned == ["CP1"]
    await station.boot()
    await idle(station)
    assert learned == ["CP1", "CP1"]


def connected(core: Core) -> Station:
    """Return the station as the core sees it."""
    station = core.registry.station("CP1")
    assert station is not None
    return station
