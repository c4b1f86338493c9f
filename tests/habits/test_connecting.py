"""Field notes 5.1, habits 1 to 10: how stations connect, over real sockets where the wire matters.

Habit 10 (URL without ``ws://``, port in a field of its own, 15 minutes to connect) is about what is
typed into the wallbox: what can be seen here is that the path alone counts, and that nobody is
missed while it is away. Proxies that cut idle connections (6) are met by pings, which
``tests/integration/test_listener.py`` counts.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from ocpp_server.domain.jitter import spread
from ocpp_server.domain.timestamps import format_timestamp
from ocpp_server.listener import Listener, open_listener
from ocpp_server.setup_slots import SetupSlots
from shared.bus.port import Delivery
from shared.contracts.evse import EvseObserved, EvseState
from shared.contracts.session import MeterRow, MeterValuesRecorded, SessionEnded, SessionStarted
from shared.contracts.site import SiteConfig, Station, TlsMode
from shared.contracts.station import (
    StationBooted,
    StationConnected,
    StationDisconnected,
    StationRefused,
)
from shared.passwords import hash_password
from tests.conditions import eventually
from tests.ocpp_core import Core, evse, running_core, site_of

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}
HEX_KEY = "0123456789abcdef0123456789abcdef01234567"
ODD_NAME = "DE*+A/B 1"


@asynccontextmanager
async def port(core: Core) -> AsyncIterator[Listener]:
    """Open a port to the core."""
    async with open_listener(
        "127.0.0.1",
        0,
        front=core.registry.front,
        tls=lambda: TlsMode.OFF,
        context=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    ) as listener:
        yield listener


def station(
    listener: Listener,
    path: str = "/CP1",
    *,
    offers: tuple[str, ...] = ("ocpp1.6",),
    credentials: bytes | None = None,
) -> connect:
    """Return a connection to be opened."""
    headers = {}
    if credentials is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    return connect(
        f"ws://127.0.0.1:{listener.port}{path}",
        subprotocols=[Subprotocol(offer) for offer in offers] or None,
        additional_headers=headers,
        proxy=None,
    )


async def heartbeat(client: ClientConnection) -> dict[str, Any]:
    """Return the answer to a heartbeat."""
    await client.send('[2,"hb","Heartbeat",{}]')
    while True:
        frame = json.loads(await asyncio.wait_for(client.recv(), 10))
        if frame[0] == 3:
            found: dict[str, Any] = frame[2]
            return found


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ((), None),
        (("ocpp1.6",), "ocpp1.6"),
        (("ocpp1.6j",), "ocpp1.6j"),
        (("ocpp",), "ocpp"),
        (("ocpp2.0.1", "ocpp1.5", "ocpp1.6"), "ocpp1.6"),
        (("ocpp1.6j", "ocpp1.6"), "ocpp1.6"),
    ],
)
async def test_habit_01_every_way_to_offer_ocpp_1_6_or_nothing_is_served(
    core: Core, offers: tuple[str, ...], chosen: str | None
) -> None:
    async with port(core) as listener, station(listener, offers=offers) as client:
        assert client.subprotocol == chosen
        assert "currentTime" in await heartbeat(client)


async def test_habit_02_a_probe_with_another_version_is_refused_and_leaves_nothing(
    core: Core,
) -> None:
    async with port(core) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener, offers=("ocpp2.0.1",)).__aenter__()
        assert refused.value.response.status_code == 400
        async with station(listener) as client:
            assert "currentTime" in await heartbeat(client)
    assert [e.epoch for e in core.events(StationConnected)] == [1]
    assert (await core.event(StationRefused)).subprotocols == ("ocpp2.0.1",)


@pytest.mark.parametrize(
    "site", [site_of(evse(station=ODD_NAME), stations=(Station(id=ODD_NAME, protocol="ocpp"),))]
)
@pytest.mark.parametrize(
    "path",
    [
        "/DE*+A%2FB%201",
        "/DE%2A%2BA%2FB%201/",
        "/de*+a%2fb%201",
        "/steve/websocket/CentralSystemService/DE*+A%2FB%201",
        "/DE*+A%2FB%201?token=x",
    ],
)
async def test_habit_03_the_identity_is_decoded_once_and_case_and_path_do_not_matter(
    core: Core, site: SiteConfig, path: str
) -> None:
    async with port(core) as listener, station(listener, path) as client:
        assert "currentTime" in await heartbeat(client)
        told = await core.event(StationConnected)
    assert (told.station_id, told.known) == (ODD_NAME, True)


@pytest.mark.parametrize("path", ["/", "/CP%00", "/CP%0A1", "/" + "x" * 65])
async def test_habit_03_control_characters_and_no_name_are_refused(core: Core, path: str) -> None:
    async with port(core) as listener:
        with pytest.raises(InvalidStatus) as refused:
            await station(listener, path).__aenter__()
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    "site",
    [
        site_of(
            evse(station="CP:1"),
            stations=(Station(id="CP:1", protocol="ocpp", password_hash=hash_password(HEX_KEY)),),
        )
    ],
)
@pytest.mark.parametrize(
    ("credentials", "is_right"),
    [
        (b"CP:1:" + HEX_KEY.encode(), True),
        (b"CP:1:" + HEX_KEY.upper().encode(), True),
        (b"CP:1:" + bytes.fromhex(HEX_KEY), True),
        (b"CP:1:" + bytes.fromhex(HEX_KEY)[:-1], False),
        (b"CP:" + HEX_KEY.encode(), False),
        (b"CP:1:", False),
    ],
    ids=["text", "capitals", "bytes", "cut", "user cut", "empty"],
)
async def test_habit_04_a_hex_key_may_come_as_text_or_bytes_and_a_name_may_have_a_colon(
    core: Core, site: SiteConfig, credentials: bytes, is_right: bool
) -> None:
    async with port(core) as listener:
        connecting = station(listener, "/CP:1", credentials=credentials)
        if is_right:
            async with connecting as client:
                assert "currentTime" in await heartbeat(client)
            return
        with pytest.raises(InvalidStatus) as refused:
            await connecting.__aenter__()
    assert refused.value.response.status_code == 401


async def test_habit_05_the_newest_connection_wins_over_a_half_open_one(core: Core) -> None:
    async with port(core) as listener, station(listener) as half_open:
        await heartbeat(half_open)
        async with station(listener) as newest:
            assert "currentTime" in await heartbeat(newest)
            await asyncio.wait_for(half_open.wait_closed(), 10)
            assert half_open.close_reason == "replaced by a newer connection"
            assert "currentTime" in await heartbeat(newest)
            assert not core.events(StationDisconnected)


async def test_habit_05_the_late_close_of_the_old_one_is_no_disconnection(core: Core) -> None:
    old = await core.connect()
    new = await core.connect()
    assert old.receiver is not None
    old.receiver.closed(1006, "minutes later")
    assert "currentTime" in await new.call("Heartbeat", {})
    await core.facilities.announcer.flush()
    assert not core.events(StationDisconnected)
    assert all(event.online for event in core.events(EvseObserved))


async def test_habit_05_who_has_the_wrong_password_replaces_nobody(core: Core) -> None:
    guarded = Station(id="CP1", protocol="ocpp", password_hash=hash_password("right"))
    core.registry.site_changed(site_of(stations=(guarded,), revision=2))
    async with (
        port(core) as listener,
        station(listener, credentials=b"CP1:right") as client,
    ):
        with pytest.raises(InvalidStatus):
            await station(listener, credentials=b"CP1:wrong").__aenter__()
        assert "currentTime" in await heartbeat(client)


async def test_habit_06_any_frame_is_a_sign_of_life_and_silence_ends_the_connection(
    core: Core,
) -> None:
    box = await core.booted()
    for frame in ("not even JSON", '[3,"late",{}]', '[2,"1","Heartbeat",{}]'):
        core.later(2 * 300)
        assert box.closed is None
        box.say(frame)
    core.later(2 * 300 + 31)
    assert box.closed is not None


async def test_habit_07_what_comes_before_a_boot_is_served_and_a_boot_is_asked_for_once(
    core: Core,
) -> None:
    box = await core.connect()
    assert await box.call("StatusNotification", STATUS) == {}
    assert "currentTime" in await box.call("Heartbeat", {})
    assert (await box.call("StartTransaction", START))["transactionId"] > 0
    assert (await core.newest(EvseObserved)).state is EvseState.C
    for _ in range(4):
        core.later(6)
        await box.idle()
    triggers = [p["requestedMessage"] for p in box.payloads("TriggerMessage")]
    assert triggers.count("BootNotification") == 1
    await box.was_called("SetChargingProfile")


async def test_habit_07_a_station_that_restarts_on_being_asked_is_not_asked_again(
    core: Core,
) -> None:
    asked = 0
    for _ in range(3):
        box = await core.connect()
        core.later(6)
        await box.was_called("TriggerMessage")
        await box.idle()
        asked += {"requestedMessage": "BootNotification"} in box.payloads("TriggerMessage")
        box.close()
    assert asked == 1


async def test_habit_07_an_empty_vendor_is_accepted(core: Core) -> None:
    box = await core.connect()
    boot = {"chargePointVendor": "", "chargePointModel": ""}
    assert (await box.call("BootNotification", boot))["status"] == "Accepted"
    assert (await core.event(StationBooted)).vendor == ""


def test_habit_08_stations_do_not_come_back_all_at_once() -> None:
    intervals = {spread(300, f"CP{number}") for number in range(500)}
    assert len(intervals) > 50
    assert min(intervals) >= 240
    assert max(intervals) <= 300 * 1.2


@pytest.mark.parametrize("site", [site_of(evse(), evse(id="bay-2", station="CP2"))])
async def test_habit_08_of_many_that_come_back_few_are_set_up_at_once(
    core: Core, site: SiteConfig
) -> None:
    core.facilities.setup_slots = SetupSlots(1)
    first = await core.connect("CP1")
    first.answers["ChangeConfiguration"] = None
    await first.boot()
    await first.was_called("ChangeConfiguration")
    second = await core.booted("CP2")
    await second.idle()
    assert second.payloads("ChangeConfiguration") == []
    assert second.payloads("SetChargingProfile"), "what keeps the fuse whole waits for nobody"


ODD_CLOCKS = [
    ("2026-01-01T12:00:00", "no zone"),
    ("2026-01-01T14:00:00+02", "a zone without minutes"),
    ("2026-01-01T12:00:00.123Z", "a fraction"),
    ("2026-01-01T12:00:00.1234567891Z", "more digits than microseconds"),
    ("2026-01-01 12:00:00Z", "a blank for the T"),
]


@pytest.mark.parametrize(("text", "because"), ODD_CLOCKS, ids=[c[1] for c in ODD_CLOCKS])
async def test_habit_09_odd_spellings_are_the_moment_that_they_mean(
    core: Core, text: str, because: str
) -> None:
    box = await core.booted()
    await box.call("StartTransaction", START | {"timestamp": text})
    started = await core.event(SessionStarted)
    assert format_timestamp(started.started_at) == "2026-01-01T12:00:00Z", because
    (kept,) = await core.ledger.open_transactions("CP1")
    assert kept.started_at is not None


@pytest.mark.parametrize("text", ["1970-01-01T00:00:12Z", "222222017-01-01T00:00:00Z", "nope", ""])
async def test_habit_09_a_clock_of_1970_or_of_no_year_does_not_steer_and_is_recorded(
    core: Core, text: str
) -> None:
    rows: list[MeterRow] = []

    async def hear(delivery: Delivery[MeterValuesRecorded]) -> None:
        rows.extend(MeterRow(*row) for row in delivery.message.rows)

    await core.operator.listen([MeterValuesRecorded], hear)
    box = await core.booted()
    answer = await box.call("StartTransaction", START | {"timestamp": text})
    assert (await core.event(SessionStarted)).started_at == core.clock.now(), "the arrival counts"
    sample = {"value": "9", "measurand": "Current.Import", "phase": "L1"}
    values = [{"timestamp": text, "sampledValue": [sample]}]
    core.later(60)
    assert await box.call("MeterValues", {"connectorId": 1, "meterValue": values}) == {}
    observed = await core.newest(EvseObserved)
    assert observed.current_a is not None
    assert observed.current_a.l1 == 9
    assert rows[0].sampled_at is None
    assert rows[0].received_at == core.clock.now().timestamp()
    stop = {"transactionId": answer["transactionId"], "meterStop": 9, "timestamp": text}
    assert await box.call("StopTransaction", stop) == {}
    assert (await core.event(SessionEnded)).ended_at == core.clock.now()


@pytest.mark.parametrize("hours", [-2, 2, 5])
async def test_habit_09_local_time_without_a_zone_steers_all_the_same(
    core: Core, hours: int
) -> None:
    """Growatt: the clock is off by whole hours, and always by the same."""
    box = await core.booted()
    sample = {"value": "9", "measurand": "Current.Import", "phase": "L1"}
    for _ in range(9):
        core.later(10)
        local = (core.clock.now() + timedelta(hours=hours)).isoformat()[:19]
        values = [{"timestamp": local, "sampledValue": [sample]}]
        await box.call("MeterValues", {"connectorId": 1, "meterValue": values})
    observed = await core.newest(EvseObserved)
    assert observed.current_a is not None
    assert observed.current_a.l1 == 9


GROWATT = Station(id="CP1", protocol="ocpp", model="growatt")


@pytest.mark.parametrize(
    ("site", "starts", "stops"),
    [
        (site_of(stations=(GROWATT,)), "2026-01-01T13:00:00", "2026-01-01T13:30:00"),
        (
            site_of(stations=(GROWATT,), time_zone="Australia/Adelaide"),
            "2026-01-01T22:30:00",
            "2026-01-01T23:00:00",
        ),
        (site_of(stations=(GROWATT,)), "2026-01-01T12:00:00Z", "2026-01-01T12:30:00Z"),
        (
            site_of(stations=(GROWATT,), time_zone="Nowhere"),
            "2026-01-01T12:00:00",
            "2026-01-01T12:30:00",
        ),
        (site_of(), "2026-01-01T12:00:00", "2026-01-01T12:30:00"),
    ],
    ids=["Berlin", "Adelaide", "one that says UTC is believed", "no zone data", "any other model"],
)
async def test_habit_09_local_time_is_billed_in_utc_where_the_model_tells_it(
    core: Core, site: SiteConfig, starts: str, stops: str
) -> None:
    box = await core.booted()
    answer = await box.call("StartTransaction", START | {"timestamp": starts})
    stop = {"transactionId": answer["transactionId"], "meterStop": 9, "timestamp": stops}
    await box.call("StopTransaction", stop)
    started, ended = await core.event(SessionStarted), await core.event(SessionEnded)
    assert format_timestamp(started.started_at) == "2026-01-01T12:00:00Z"
    assert format_timestamp(ended.ended_at) == "2026-01-01T12:30:00Z"


@pytest.mark.parametrize("site", [site_of(time_zone="Pacific/Auckland")])
async def test_habit_09_who_boots_as_growatt_is_read_in_local_time(
    core: Core, site: SiteConfig
) -> None:
    """Thirteen hours ahead of UTC, so what is read as UTC would be of the future."""
    box = await core.connect()
    boot = {"chargePointVendor": "Growatt", "chargePointModel": "THOR"}
    assert (await box.call("BootNotification", boot))["currentTime"] == "2026-01-01T12:00:00Z"
    assert (await box.call("Heartbeat", {}))["currentTime"] == "2026-01-01T12:00:00Z"
    rows: list[MeterRow] = []

    async def hear(delivery: Delivery[MeterValuesRecorded]) -> None:
        rows.extend(MeterRow(*row) for row in delivery.message.rows)

    await core.operator.listen([MeterValuesRecorded], hear)
    sample = {"value": "9", "measurand": "Current.Import", "phase": "L1"}
    for at in ("2026-01-02T01:00:00", "2026-01-02T00:50:00"):
        values = [{"timestamp": at, "sampledValue": [sample]}]
        await box.call("MeterValues", {"connectorId": 1, "meterValue": values})
    now = core.clock.now()
    assert [row.sampled_at for row in rows] == [now.timestamp(), now.timestamp() - 600]


@pytest.mark.parametrize("site", [site_of(stations=(GROWATT,))])
async def test_habit_09_an_old_state_in_local_time_is_seen_to_be_old(
    core: Core, site: SiteConfig
) -> None:
    """Read as UTC it would be of now: an hour old in Berlin."""
    box = await core.booted()
    await box.call("StatusNotification", STATUS | {"timestamp": "2026-01-01T13:00:00"})
    old = STATUS | {"status": "Available", "timestamp": "2026-01-01T12:00:00"}
    await box.call("StatusNotification", old)
    assert (await core.newest(EvseObserved)).state is EvseState.C


async def test_habit_09_in_the_hour_that_comes_twice_the_receipt_decides(tmp_path: Path) -> None:
    """On 25 October 2026 Berlin has 02:30 twice: at 00:30 and at 01:30 UTC."""
    async with running_core(site_of(stations=(GROWATT,)), tmp_path) as core:
        core.clock.advance(
            (datetime(2026, 10, 25, 0, 31, tzinfo=UTC) - core.clock.now()).total_seconds()
        )
        box = await core.booted()
        local = "2026-10-25T02:30:00"
        answer = await box.call("StartTransaction", START | {"timestamp": local})
        core.clock.advance(3600)
        stop = {"transactionId": answer["transactionId"], "meterStop": 9, "timestamp": local}
        await box.call("StopTransaction", stop)
        started, ended = await core.event(SessionStarted), await core.event(SessionEnded)
    assert format_timestamp(started.started_at) == "2026-10-25T00:30:00Z"
    assert format_timestamp(ended.ended_at) == "2026-10-25T01:30:00Z"


async def test_habit_09_who_asks_is_told_the_time_in_utc(core: Core) -> None:
    box = await core.connect()
    assert (await box.boot())["currentTime"] == "2026-01-01T12:00:00Z"


async def test_habit_10_a_station_that_needs_a_quarter_of_an_hour_is_served_when_it_comes(
    core: Core,
) -> None:
    core.later(15 * 60)
    async with port(core) as listener, station(listener, "/ocpp/CP1/") as client:
        assert "currentTime" in await heartbeat(client)
        told = await core.event(StationConnected)
    assert (told.station_id, told.known) == ("CP1", True)


async def test_habit_10_a_name_that_the_site_does_not_have_is_held_and_shown(core: Core) -> None:
    async with port(core) as listener, station(listener, "/CP1-typo") as client:
        await client.send(
            json.dumps(
                [2, "b", "BootNotification", {"chargePointVendor": "M", "chargePointModel": "B"}]
            )
        )
        answer = json.loads(await asyncio.wait_for(client.recv(), 10))
        assert answer[2]["status"] == "Pending"
        told = await eventually(
            lambda: [e for e in core.events(StationConnected) if e.station_id == "CP1-typo"]
        )
    assert not told[0].known
