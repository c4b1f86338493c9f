"""Stations come, go, are replaced, held and refused."""

import asyncio

import pytest

from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.domain.jitter import spread
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.message import station_address
from shared.contracts.site import OcppServerConfig, SiteConfig, Station
from shared.contracts.station import (
    RefusalReason,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationRefused,
)
from tests.conditions import eventually
from tests.ocpp_core import Core, FakeStation, evse, site_of

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}


def handshake(identity: str = "CP1", **changes: object) -> Handshake:
    values: dict[str, object] = {
        "path": f"/{identity}",
        "identity": identity,
        "peer": "10.0.0.9:1",
        "tls": False,
    }
    return Handshake(**(values | changes))  # type: ignore[arg-type]


async def test_a_station_is_told_with_a_growing_epoch(core: Core) -> None:
    first = await core.connect()
    first.close()
    await core.connect()
    told = core.events(StationConnected)
    assert [(e.station_id, e.epoch, e.known) for e in told] == [("CP1", 1, True), ("CP1", 2, True)]


async def test_the_evses_of_a_station_are_observed_when_it_comes_and_goes(core: Core) -> None:
    station = await core.connect()
    assert (await core.event(EvseObserved)).online
    station.close(1006, "")
    gone = await core.event(EvseObserved, lambda e: not e.online)
    assert (gone.evse_id, gone.epoch) == ("bay-1", 1)
    assert (await core.event(StationDisconnected)).reason == "closed with 1006"


async def test_what_flowed_before_is_unknown_after_a_reconnect(core: Core) -> None:
    station = await core.booted()
    await station.call("StatusNotification", STATUS)
    station.close()
    await core.connect()
    observed = await core.event(EvseObserved, lambda e: e.epoch == 2)
    assert observed.state is None


async def test_the_newest_connection_wins(core: Core) -> None:
    old = await core.connect()
    new = await core.connect()
    assert old.closed == (1000, "replaced by a newer connection")
    assert new.closed is None
    await new.boot()
    assert not core.events(StationDisconnected)
    assert all(event.online for event in core.events(EvseObserved))


async def test_a_late_close_of_the_old_link_changes_nothing(core: Core) -> None:
    old = await core.connect()
    new = await core.connect()
    assert old.receiver is not None
    old.receiver.closed(1006, "late")
    await new.boot()
    found = core.registry.station("CP1")
    assert found is not None
    assert found.epoch == 2


async def test_a_station_that_connects_to_another_replica_is_let_go(core: Core) -> None:
    station = await core.connect()

    async def ignore(*_: object) -> None:
        return None

    other = await core.operator.inbox(ignore)
    await other.own(station_address("CP1"), 2)
    await eventually(lambda: station.closed)
    assert station.closed == (1000, "connected to another replica")


async def test_a_silent_station_is_given_up(core: Core) -> None:
    station = await core.booted()
    core.later(2 * 300 + 29)
    assert station.closed is None
    core.later(2)
    assert station.closed == (1001, "nothing heard for 630 s")


async def test_any_frame_keeps_a_station(core: Core) -> None:
    station = await core.booted()
    core.later(600)
    station.say("nonsense")
    core.later(600)
    assert station.closed is None


async def test_a_boot_tells_what_the_station_is(core: Core) -> None:
    station = await core.connect()
    answer = await station.boot()
    assert answer == {
        "status": "Accepted",
        "currentTime": "2026-01-01T12:00:00Z",
        "interval": spread(300, "CP1"),
    }
    booted = await core.event(StationBooted)
    assert (booted.vendor, booted.model, booted.epoch) == ("Maker", "Box", 1)


async def test_a_station_that_does_not_boot_is_asked_to_once(core: Core) -> None:
    station = await core.connect()
    core.later(4)
    assert station.calls == []
    core.later(1)
    assert await station.was_called("TriggerMessage") == {"requestedMessage": "BootNotification"}
    assert await station.was_called("TriggerMessage", times=2) == {
        "requestedMessage": "StatusNotification"
    }
    await station.was_called("SetChargingProfile")
    core.later(60)
    await asyncio.sleep(0.05)
    assert len(station.payloads("TriggerMessage")) == 2


class TestHeldStation:
    """A station that the site does not list."""

    async def test_it_is_held_and_shown(self, core: Core) -> None:
        station = await core.connect("STRANGER")
        assert not (await core.event(StationConnected)).known
        answer = await station.boot()
        assert (answer["status"], answer["interval"]) == ("Pending", spread(30, "STRANGER"))

    async def test_nobody_charges_there_and_nothing_is_lost(self, core: Core) -> None:
        station = await core.connect("STRANGER")
        assert await station.call("Authorize", {"idTag": "GOOD"}) == {
            "idTagInfo": {"status": "Invalid"}
        }
        start = {
            "connectorId": 1,
            "idTag": "GOOD",
            "meterStart": 5,
            "timestamp": "2026-01-01T12:00:00Z",
        }
        answer = await station.call("StartTransaction", start)
        assert answer["idTagInfo"] == {"status": "Invalid"}
        recorded = await core.ledger.transaction(answer["transactionId"])
        assert recorded is not None
        assert not recorded.station_known

    async def test_it_is_never_called(self, core: Core) -> None:
        station = await core.connect("STRANGER")
        await station.boot()
        core.later(60)
        await station.call("Heartbeat", {})
        assert station.calls == []

    async def test_once_configured_it_is_asked_to_boot_and_accepted(self, core: Core) -> None:
        station = await core.connect("STRANGER")
        await station.boot()
        known = site_of(evse(), evse(id="new", station="STRANGER"), revision=2)
        core.registry.site_changed(known)
        await station.was_called("TriggerMessage")
        assert (await core.event(StationConnected)).known
        assert (await station.boot())["status"] == "Accepted"
        await station.was_called("SetChargingProfile")

    async def test_a_site_saved_while_it_comes_in_counts(self, core: Core) -> None:
        station = FakeStation("STRANGER")
        station.receiver = core.registry.opened(station)  # it is not served before the ledger says
        core.registry.site_changed(site_of(evse(), evse(id="new", station="STRANGER"), revision=2))
        assert (await core.event(StationConnected)).known
        assert (await station.boot())["status"] == "Accepted"

    async def test_a_removed_station_is_held_again(self, core: Core) -> None:
        station = await core.booted()
        core.registry.site_changed(SiteConfig(revision=2))
        assert not (await core.event(StationConnected, lambda e: not e.known)).known
        assert (await station.boot())["status"] == "Pending"

    async def test_another_spelling_makes_it_connect_again(self, core: Core) -> None:
        station = await core.connect("stranger")
        core.registry.site_changed(
            SiteConfig(revision=2, stations=(Station(id="STRANGER", protocol="ocpp"),))
        )
        assert station.closed == (1000, "configured under another spelling")


async def test_admission_is_decided_by_the_present_site(core: Core) -> None:
    admitted = await core.registry.admit(handshake())
    assert admitted == Admission(station_id="CP1", subprotocol=None, known=True)
    strict = OcppServerConfig(password_hash="$argon2id$nothing")
    core.registry.site_changed(site_of(revision=2, ocpp_server=strict))
    refused = await core.registry.admit(handshake(password=b"wrong"))
    assert isinstance(refused, Refusal)
    assert refused.reason is RefusalReason.PASSWORD


async def test_a_refusal_is_told_with_its_reason(core: Core) -> None:
    refusal = Refusal(reason=RefusalReason.PATH, status=404, detail="use another path")
    core.registry.refused(handshake("x" * 200), refusal)
    told = await core.event(StationRefused)
    assert (told.reason, told.detail, len(told.station_id)) == (
        RefusalReason.PATH,
        "use another path",
        64,
    )


async def test_everything_is_told_again_on_request(core: Core) -> None:
    station = await core.booted()
    await station.call("StatusNotification", STATUS)
    await core.event(EvseObserved, lambda e: e.state is EvseState.C)
    core.heard.clear()
    core.registry.announce_all()
    assert (await core.event(StationConnected)).epoch == 1
    assert (await core.event(EvseObserved)).state is EvseState.C


async def test_a_database_that_is_away_sends_the_station_away_and_harms_no_other(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await core.connect()

    async def broken(_station_id: str) -> int:
        raise RuntimeError("no database")

    monkeypatch.setattr(core.ledger, "claim", broken)
    from tests.ocpp_core import FakeStation

    station = FakeStation("CP2")
    station.receiver = core.registry.opened(station)
    await eventually(lambda: station.closed)
    assert station.closed == (1013, "the server cannot serve this station now")
    await other.boot()


async def test_who_is_being_taken_over_when_the_server_stops_is_sent_away_too(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await core.connect("CP2")
    claim, may_go_on = core.ledger.claim, asyncio.Event()

    async def slow(station_id: str) -> int:
        await may_go_on.wait()
        return await claim(station_id)

    monkeypatch.setattr(core.ledger, "claim", slow)
    station = FakeStation("CP1")
    station.receiver = core.registry.opened(station)
    await asyncio.sleep(0)
    core.registry.close_all()
    closed = station.closed
    station.close()  # a failing test must not wait for it
    may_go_on.set()
    assert closed == served.closed == (1001, "the server stops")
    await eventually(lambda: not core.registry._arriving, claim="nobody is taken over any more")
    assert core.registry.station("CP1") is None
    assert [e.station_id for e in core.events(StationConnected)] == ["CP2"]


async def test_who_comes_in_when_the_server_stops_is_sent_away(core: Core) -> None:
    core.registry.close_all()
    station = FakeStation("CP1")
    station.receiver = core.registry.opened(station)
    assert station.closed is None, "the link has to know its receiver first"
    await eventually(lambda: station.closed)
    assert station.closed == (1001, "the server stops")


async def test_of_those_that_came_and_went_nothing_is_kept(core: Core) -> None:
    for _ in range(3):
        (await core.connect()).close()
    await eventually(lambda: core.registry.station("CP1") is None)
    assert not core.registry._arriving
