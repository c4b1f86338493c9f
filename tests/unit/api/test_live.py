"""The present in memory: what replaces what, and that it stays bounded."""

import asyncio
from datetime import UTC, datetime, timedelta

from api.domain.session_record import SessionRecord
from api.domain.station_live import StationState
from api.live import MOST_ALARMS, MOST_SOURCES, LiveView
from api.live_stations import MOST_UNKNOWN
from api.refusal_book import MOST_REFUSALS
from shared.contracts.alarm import AlarmChanged, Severity
from shared.contracts.charging import (
    CircuitLoad,
    Offer,
    OffersDecided,
    PermissionChanged,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.meter import MeterSampled
from shared.contracts.ocpp import FrameReceived, UplinkChanged
from shared.contracts.session import SessionEnded, SessionStarted
from shared.contracts.site import SiteConfig
from shared.contracts.station import (
    RefusalReason,
    StationBooted,
    StationConfigurationRead,
    StationConnected,
    StationDisconnected,
    StationRefused,
)
from shared.units import PhaseAmps

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = SiteConfig.model_validate(
    {
        "circuits": [{"id": "main", "limit_a": 32}],
        "stations": [{"id": "Box", "protocol": "ocpp"}],
        "evses": [{"id": "bay", "station": "Box", "circuit": "main"}],
        "meters": [
            {"id": "grid", "circuit": "main", "modbus": {"template": "t", "host": "10.0.0.1"}}
        ],
    }
)


def connected(station_id: str = "Box", epoch: int = 1) -> StationConnected:
    return StationConnected(
        station_id=station_id, epoch=epoch, protocol="ocpp", connected_at=NOON, peer=f"p{epoch}"
    )


def observed(
    state: EvseState, *, epoch: int = 1, second: int = 0, evse: str = "bay"
) -> EvseObserved:
    return EvseObserved(
        evse_id=evse,
        station_id="Box",
        connector=1,
        epoch=epoch,
        observed_at=NOON + timedelta(seconds=second),
        online=True,
        state=state,
    )


def started(session_id: str, hour: int) -> SessionStarted:
    return SessionStarted(
        session_id=session_id,
        evse_id="bay",
        station_id="Box",
        connector=1,
        started_at=NOON + timedelta(hours=hour),
    )


def state_of(live: LiveView) -> EvseState | None:
    evse = live.evse("bay")
    return None if evse is None else evse.state


def test_an_evse_that_was_never_seen_is_unknown_and_not_idle() -> None:
    evse = LiveView(SITE).evse("bay")
    assert evse is not None
    assert (evse.online, evse.state, evse.current_a, evse.offered_a) == (False, None, None, None)
    assert LiveView(SITE).evse("elsewhere") is None


def test_old_epochs_and_older_observations_are_ignored() -> None:
    live = LiveView(SITE)
    live.apply(observed(EvseState.C, epoch=2, second=10))
    live.apply(observed(EvseState.A, epoch=1, second=20))
    live.apply(observed(EvseState.A, epoch=2, second=5))
    assert state_of(live) is EvseState.C
    live.apply(observed(EvseState.B, epoch=3, second=0))
    assert state_of(live) is EvseState.B


def test_observers_are_told_what_is_newer_and_of_the_site_only() -> None:
    live, told = LiveView(SITE), list[EvseState | None]()
    live.on_observed(lambda fact: told.append(fact.state))
    live.apply(observed(EvseState.C, epoch=2, second=10))
    live.apply(observed(EvseState.A, epoch=1, second=20))
    live.apply(observed(EvseState.A, epoch=2, second=30, evse="elsewhere"))
    live.apply(observed(EvseState.B, epoch=2, second=40))
    assert told == [EvseState.C, EvseState.B]


def test_a_disconnection_of_an_old_epoch_leaves_the_new_connection() -> None:
    live = LiveView(SITE)
    live.apply(connected(epoch=1))
    live.apply(connected(epoch=2))
    live.apply(StationBooted(station_id="BOX", epoch=2, booted_at=NOON, vendor="ACME"))
    live.apply(StationDisconnected(station_id="Box", epoch=1, disconnected_at=NOON))
    live.apply(connected(epoch=1))
    live.apply(StationBooted(station_id="Box", epoch=1, booted_at=NOON, vendor="Old"))
    station = live.stations.view("box")
    assert station is not None
    assert station.live is not None
    assert (station.state, station.live.vendor, station.live.peer) == (
        StationState.CONNECTED,
        "ACME",
        "p2",
    )


def test_boot_and_disconnection_may_come_before_the_connection_is_heard_of() -> None:
    live = LiveView(SITE)
    live.apply(StationBooted(station_id="Box", epoch=1, booted_at=NOON, model="M"))
    live.apply(StationDisconnected(station_id="Box", epoch=1, disconnected_at=NOON))
    station = live.stations.view("Box")
    assert station is not None
    assert station.state is StationState.OFFLINE


def test_what_is_odd_about_a_recognised_model_is_shown_until_it_is_another() -> None:
    live = LiveView(SITE)
    live.apply(connected().model_copy(update={"subprotocol": "ocpp1.6"}))

    def read_as(model: str) -> list[str]:
        live.apply(
            StationConfigurationRead(
                station_id="BOX", epoch=1, read_at=NOON, entries=(), model=model
            )
        )
        station = live.stations.view("Box")
        return [] if station is None else station.oddities

    assert read_as("") == []
    (said,) = read_as("evbox-elvi")
    assert "'bay' a fallback_a of at least its min_a, 6 A" in said
    assert read_as("go-e") == []


def test_unknown_stations_are_bounded_and_forgotten_when_they_leave() -> None:
    live = LiveView(SITE)
    for number in range(MOST_UNKNOWN + 5):
        live.apply(connected(f"x{number}"))
    assert len(live.stations.views()) == MOST_UNKNOWN + 1  # and the configured one
    assert live.stations.view("x0") is None
    last = f"x{MOST_UNKNOWN}"
    live.apply(StationDisconnected(station_id=last, epoch=1, disconnected_at=NOON))
    assert live.stations.view(last) is None


def test_an_unknown_station_becomes_a_known_one_when_it_is_configured() -> None:
    live = LiveView(SiteConfig())
    live.apply(connected("Box"))
    live.use_site(SITE)
    station = live.stations.view("Box")
    assert station is not None
    assert station.state is StationState.CONNECTED
    live.apply(StationDisconnected(station_id="Box", epoch=1, disconnected_at=NOON))
    live.use_site(SiteConfig())
    assert live.stations.view("Box") is None


def test_refusals_are_bounded_and_settled_by_a_connection() -> None:
    live = LiveView(SITE)
    for number in range(MOST_REFUSALS + 5):
        live.apply(
            StationRefused(
                station_id=f"x{number}",
                refused_at=NOON,
                peer="p",
                reason=RefusalReason.PASSWORD,
                detail="set the password",
            )
        )
    assert len(live.stations.refusals()) == MOST_REFUSALS
    newest = live.stations.refusals()[0]
    assert (newest.id, newest.refusal) == (f"x{MOST_REFUSALS + 4}", "set the password")
    live.apply(connected(newest.id))
    assert newest.id not in {view.id for view in live.stations.refusals()}


def test_what_everybody_says_about_an_evse_is_joined() -> None:
    live = LiveView(SITE)
    reason = Reason(code=ReasonCode.WAITING)
    offer = Offer(evse_id="bay", limit_a=0, reserved_a=0, reason=reason)
    stranger = Offer(evse_id="gone", limit_a=0, reserved_a=0, reason=reason)
    load = CircuitLoad(
        circuit_id="main", limit_a=PhaseAmps(), reserved_a=PhaseAmps(), uncontrolled_a=PhaseAmps()
    )
    live.apply(OffersDecided(decided_at=NOON, offers=(offer, stranger), circuits=(load,)))
    live.apply(
        SetpointApplied(
            evse_id="bay",
            station_id="Box",
            revision=3,
            limit_a=0,
            outcome=SetpointOutcome.ACCEPTED,
            applied_at=NOON,
        )
    )
    evse = live.evse("bay")
    assert evse is not None
    assert evse.setpoint is not None
    assert (evse.offered_a, evse.reason, evse.setpoint.revision) == (0, reason, 3)
    assert live.offered_a("gone") is None
    assert live.circuits == {"main": load}


def test_permissions_are_kept_by_source_and_bounded() -> None:
    live = LiveView(SITE)
    for number in range(MOST_SOURCES + 3):
        for permitted in (False, True):
            live.apply(
                PermissionChanged(
                    evse_id="bay", source=f"s{number}", permitted=permitted, changed_at=NOON
                )
            )
    live.apply(PermissionChanged(evse_id="gone", source="s", permitted=True, changed_at=NOON))
    evse = live.evse("bay")
    assert evse is not None
    assert len(evse.permissions) == MOST_SOURCES
    assert all(permission.permitted for permission in evse.permissions)


def test_a_replayed_session_does_not_replace_the_present_one() -> None:
    live = LiveView(SITE)
    live.apply(started("now", 5))
    live.apply(started("old", 1))
    evse = live.evse("bay")
    assert evse is not None
    assert evse.session is not None
    assert evse.session.session_id == "now"


def test_only_the_end_of_the_shown_session_ends_it() -> None:
    live = LiveView(SITE)
    live.apply(started("now", 5))
    for session_id in ("other", "now"):
        evse = live.evse("bay")
        assert evse is not None
        assert evse.session is not None
        assert evse.session.is_open
        live.apply(
            SessionEnded(
                session_id=session_id, evse_id="bay", station_id="Box", connector=1, ended_at=NOON
            )
        )
    evse = live.evse("bay")
    assert evse is not None
    assert evse.session is not None
    assert not evse.session.is_open


def test_sessions_without_a_known_start_and_of_other_evses_are_handled() -> None:
    live = LiveView(SITE)
    record = SessionRecord(session_id="x", evse_id="bay", station_id="Box", connector=1)
    elsewhere = SessionRecord(session_id="y", evse_id="gone", station_id="Box", connector=1)
    live.remember([record, elsewhere])
    evse = live.evse("bay")
    assert evse is not None
    assert evse.session == record


def test_alarms_go_when_they_are_over_and_are_bounded() -> None:
    live = LiveView(SITE)
    for number in range(MOST_ALARMS + 2):
        live.apply(alarm(f"a{number}", active=True))
    assert len(live.alarms) == MOST_ALARMS
    live.apply(alarm("a5", active=False))
    assert "a5" not in live.alarms


def alarm(alarm_id: str, *, active: bool) -> AlarmChanged:
    return AlarmChanged(
        alarm_id=alarm_id, active=active, severity=Severity.INFO, text="x", changed_at=NOON
    )


def test_a_new_uplink_of_an_evse_replaces_its_old_one() -> None:
    live = LiveView(SITE)
    for name in ("one", "two"):
        live.apply(UplinkChanged(uplink_id=name, evse_ids=("bay",), online=True, changed_at=NOON))
    live.apply(UplinkChanged(uplink_id="three", evse_ids=("x",), online=True, changed_at=NOON))
    assert set(live.uplinks) == {"two"}


def test_what_the_site_does_not_name_any_more_is_forgotten() -> None:
    live = LiveView(SITE)
    live.apply(observed(EvseState.C))
    live.apply(observed(EvseState.C, evse="gone"))
    live.apply(MeterSampled(meter_id="grid", sampled_at=NOON, current_a=PhaseAmps(l1=1)))
    live.apply(MeterSampled(meter_id="gone", sampled_at=NOON, current_a=PhaseAmps(l1=1)))
    assert set(live.meters) == {"grid"}
    live.use_site(SiteConfig())
    assert live.meters == {}
    live.use_site(SITE)
    assert state_of(live) is None


def test_events_that_are_not_shown_are_ignored() -> None:
    live = LiveView(SITE)
    before = live.snapshot()
    live.apply(
        FrameReceived(
            frame_id="f", station_id="Box", epoch=1, action="A", payload_text="", received_at=NOON
        )
    )
    assert live.snapshot() == before


async def test_many_changes_of_one_thing_are_told_once() -> None:
    live = LiveView(SITE)
    with live.watchers.watch() as watcher:
        for second in range(50):
            live.apply(observed(EvseState.C, second=second))
        live.apply(connected())
        async with asyncio.timeout(5):
            assert await watcher.changes() == [("evse", "bay"), ("station", "Box")]
        live.use_site(SITE)
        async with asyncio.timeout(5):
            assert await watcher.changes() == [("site", "")]


def test_every_kind_of_change_has_a_value() -> None:
    live = LiveView(SITE)
    live.apply(connected())
    for kind, name in (("site", ""), ("evse", "bay"), ("station", "Box")):
        assert live.value(kind, name) is not None
    assert live.value("refusals", "") == []
    for kind in ("meter", "circuit", "uplink", "alarm"):
        assert live.value(kind, "none") is None
