"""After a restart of ours all stations come at once: they are spread, and set up in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.jitter import spread
from ocpp_server.setup_slots import SetupSlots
from shared.contracts.charging import ApplySetpoint, Reason, ReasonCode, SetpointApplied
from shared.contracts.site import SiteConfig, Station
from tests.conditions import eventually
from tests.ocpp_core import Core, evse, running_core, site_of


@given(st.integers(1, 86_400), st.text(max_size=64))
def test_an_interval_is_spread_by_a_fifth_and_always_the_same(seconds: int, name: str) -> None:
    found = spread(seconds, name)
    assert max(1, round(seconds * 0.8)) <= found <= round(seconds * 1.2)
    assert found == spread(seconds, name)


def test_stations_do_not_come_back_together() -> None:
    found = [spread(300, f"CP{n}") for n in range(1_000)]
    assert max(found.count(moment) for moment in set(found)) < 40
    assert min(found) < 250
    assert max(found) > 350


class TestSlots:
    """Places for those who are being set up."""

    def test_as_many_as_there_are_places(self) -> None:
        slots, woken = SetupSlots(2), []
        assert slots.enter("a", lambda: None)
        assert slots.enter("b", lambda: None)
        assert not slots.enter("c", lambda: woken.append("c"))
        assert slots.enter("a", lambda: None), "who is inside stays inside"
        assert slots.is_waiting("c")
        slots.leave("a")
        assert woken == ["c"]
        assert slots.enter("c", lambda: None)
        assert not slots.is_waiting("c")

    def test_one_that_does_not_come_does_not_hold_up_the_others(self) -> None:
        slots, woken = SetupSlots(1), []
        slots.enter("a", lambda: None)
        for name in "bc":
            slots.enter(name, lambda name=name: woken.append(name))  # type: ignore[misc]
        slots.leave("a")
        assert woken == ["b"]
        slots.leave("b")
        assert woken == ["b", "c"]

    def test_who_has_nothing_to_do_disturbs_nobody(self) -> None:
        slots, woken = SetupSlots(1), []
        slots.enter("a", lambda: None)
        slots.enter("b", lambda: woken.append("b"))
        slots.leave("x")
        assert woken == []

    def test_who_leaves_before_its_turn_is_not_woken(self) -> None:
        slots, woken = SetupSlots(1), []
        slots.enter("a", lambda: None)
        slots.enter("b", lambda: woken.append("b"))
        slots.leave("b")
        slots.leave("a")
        assert woken == []


class TestFlood:
    """Two stations and one place."""

    @pytest.fixture
    async def core(self, tmp_path: Path) -> AsyncIterator[Core]:
        site = site_of(evse(1), evse(1, id="bay-2", station="CP2"))
        async with running_core(site, tmp_path) as found:
            found.facilities.setup_slots = SetupSlots(1)
            yield found

    async def test_one_is_set_up_after_the_other(self, core: Core) -> None:
        first = await core.connect("CP1")
        first.answers["ChangeConfiguration"] = None
        await first.boot()
        await first.was_called("ChangeConfiguration")
        second = await core.booted("CP2")
        await second.idle()
        assert second.payloads("ChangeConfiguration") == []
        first.close()
        await second.was_called("ChangeConfiguration", times=3)

    async def test_limits_wait_for_nobody(self, core: Core) -> None:
        first = await core.connect("CP1")
        first.answers["ChangeConfiguration"] = None
        await first.boot()
        await first.was_called("ChangeConfiguration")
        second = await core.booted("CP2")
        await core.operator.send(
            ApplySetpoint(
                station_id="CP2",
                evse_id="bay-2",
                connector=1,
                revision=1,
                limit_a=16,
                lease_s=100,
                reason=Reason(code=ReasonCode.MAXIMUM),
            )
        )
        await core.event(SetpointApplied)
        assert second.payloads("ChangeConfiguration") == []


class TestBootTrigger:
    """Asking for a BootNotification: some never send one, some restart on being asked (5.1, 7)."""

    def triggers(self, station: object) -> list[str]:
        payloads = station.payloads("TriggerMessage")  # type: ignore[attr-defined]
        return [payload["requestedMessage"] for payload in payloads]

    async def test_a_station_that_restarts_on_being_asked_is_not_asked_again(
        self, core: Core
    ) -> None:
        first = await core.connect()
        core.later(5)
        await eventually(lambda: "BootNotification" in self.triggers(first))
        first.close()
        again = await core.connect()
        core.later(5)
        await eventually(lambda: "StatusNotification" in self.triggers(again))
        await again.idle()
        assert "BootNotification" not in self.triggers(again)
        await again.was_called("SetChargingProfile")

    async def test_after_a_while_it_is_asked_again(self, core: Core) -> None:
        first = await core.connect()
        core.later(5)
        await eventually(lambda: "BootNotification" in self.triggers(first))
        first.close()
        core.clock.advance(600)
        again = await core.connect()
        core.later(5)
        await eventually(lambda: "BootNotification" in self.triggers(again))


class TestNeverTriggered:
    """A model that must not be asked."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(stations=(Station(id="CP1", protocol="ocpp", model="quiet"),))

    async def test_it_is_not(self, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        from ocpp_server import habits
        from ocpp_server.domain.model import BootTrigger, Model

        quiet = {"quiet": Model(boot_trigger=BootTrigger.NEVER)}
        monkeypatch.setattr(habits, "load_models", lambda: quiet)
        station = await core.connect()
        core.later(5)
        await station.was_called("TriggerMessage")
        await station.was_called("SetChargingProfile")
        sent = [payload["requestedMessage"] for payload in station.payloads("TriggerMessage")]
        assert sent == ["StatusNotification"]
