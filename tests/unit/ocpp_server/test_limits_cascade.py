"""Limits at stations that refuse in the ways that the field knows (field notes 5.5, 32 to 40).

Each of them must charge at what was granted, and fall back by itself when it hears nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ocpp_server.answers import Fault
from shared.contracts.charging import (
    ApplySetpoint,
    Reason,
    ReasonCode,
    SetpointApplied,
    SetpointOutcome,
)
from shared.contracts.site import DeactivationPolicy, SiteConfig, Station
from tests.ocpp_core import Core, FakeStation, evse, site_of
from tests.profile_box import Likes, ProfileBox

SET = "SetChargingProfile"
START = {
    "connectorId": 1,
    "idTag": "GOOD",
    "meterStart": 5,
    "timestamp": "2026-01-01T12:00:00Z",
}


def keys(**values: str) -> dict[str, Any]:
    return {"configurationKey": [{"key": k, "value": v} for k, v in values.items()]}


def fit(station: FakeStation, box: ProfileBox) -> None:
    """Let a box keep the profiles of a station."""
    station.answers[SET] = box.set_profile
    station.answers["ClearChargingProfile"] = box.clear_profiles


async def set_up(
    core: Core, box: ProfileBox, *, settings: dict[str, Any] | None = None
) -> FakeStation:
    station = await core.connect()
    fit(station, box)
    if settings is not None:
        station.answers["GetConfiguration"] = settings
    await station.boot()
    await station.idle()
    return station


async def order(core: Core, revision: int, limit_a: float, **changes: Any) -> SetpointApplied:
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
    return await core.event(SetpointApplied, lambda e: e.revision == revision)


def level_at_most(level: int) -> Likes:
    return lambda p: p["stackLevel"] <= level


def without(key: str) -> Likes:
    return lambda p: key not in p["chargingSchedule"]


def one_profile_at_a_time() -> Likes:
    return lambda p: p["stackLevel"] == 0


def in_unit(unit: str) -> Likes:
    return lambda p: p["chargingSchedule"]["chargingRateUnit"] == unit


def with_number_of_phases(profile: dict[str, Any]) -> bool:
    return all("numberPhases" in p for p in profile["chargingSchedule"]["chargingSchedulePeriod"])


def of_purpose(purpose: str) -> Likes:
    return lambda p: p["chargingProfilePurpose"] == purpose


def of_kind(kind: str) -> Likes:
    return lambda p: p["chargingProfileKind"] == kind


def both(*likes: Likes) -> Likes:
    return lambda p: all(like(p) for like in likes)


HIGH = keys(ChargeProfileMaxStackLevel="8", ChargingScheduleAllowedChargingRateUnit="Current")

BOXES = [
    ("takes everything", lambda p: True, None),
    ("refuses its own highest level (ABB)", level_at_most(7), HIGH),
    ("takes low levels only", level_at_most(1), HIGH),
    ("takes level 0 only (evcc #4957)", one_profile_at_a_time(), HIGH),
    ("says that level 0 is all", level_at_most(0), keys(ChargeProfileMaxStackLevel="0")),
    ("says nothing and takes level 0 only", level_at_most(0), None),
    (
        "refuses a profile without startSchedule (Citrine #785)",
        lambda p: "startSchedule" in p["chargingSchedule"],
        None,
    ),
    ("wants relative schedules (Wallbox)", of_kind("Relative"), None),
    ("wants relative schedules at level 0", both(of_kind("Relative"), level_at_most(0)), None),
    ("refuses a duration", without("duration"), None),
    ("refuses a duration, and levels", both(without("duration"), level_at_most(0)), None),
    ("takes watts and does not say so", in_unit("W"), None),
    ("takes watts (Huawei)", in_unit("W"), keys(ChargingScheduleAllowedChargingRateUnit="Power")),
    ("wants the number of phases", with_number_of_phases, None),
    ("knows the maximum of the station only", of_purpose("ChargePointMaxProfile"), None),
    (
        "the same, at level 0",
        both(of_purpose("ChargePointMaxProfile"), level_at_most(0)),
        None,
    ),
    (
        "takes a high base and no high lease",
        lambda p: "duration" not in p["chargingSchedule"] or p["stackLevel"] <= 3,
        keys(ChargeProfileMaxStackLevel="4"),
    ),
    (
        "takes a base, but for leases the maximum of the station only",
        lambda p: (
            (
                "duration" not in p["chargingSchedule"]
                and len(p["chargingSchedule"]["chargingSchedulePeriod"]) == 1
            )
            or p["chargingProfilePurpose"] == "ChargePointMaxProfile"
        ),
        None,
    ),
]


@pytest.mark.parametrize(
    ("likes", "settings"), [box[1:] for box in BOXES], ids=[box[0] for box in BOXES]
)
class TestEveryBox:
    """What must be true of all of them."""

    async def test_it_charges_at_what_is_granted_and_falls_back_by_itself(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        box = ProfileBox(likes)
        station = await set_up(core, box, settings=settings)
        now = core.clock.now()
        assert box.allows_a(now, transaction_since=None) == 0, "S8: not before it is permitted"
        await station.call("StartTransaction", START)
        applied = await order(core, 1, 16)
        assert (applied.outcome, applied.limit_a) == (SetpointOutcome.ACCEPTED, 16)
        await station.idle()
        assert box.allows_a(now, transaction_since=now) == 16
        assert (await order(core, 2, 10)).outcome is SetpointOutcome.ACCEPTED
        assert box.allows_a(now, transaction_since=now) == 10
        station.close()
        before_its_end, after = now + timedelta(seconds=99), now + timedelta(seconds=101)
        assert box.allows_a(before_its_end, transaction_since=now) == 10
        assert box.allows_a(after, transaction_since=now) == 0, "S8: the fallback"

    async def test_a_lease_is_renewed_and_silence_of_ours_is_obeyed(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        box = ProfileBox(likes)
        station = await set_up(core, box, settings=settings)
        started = core.clock.now()
        await station.call("StartTransaction", START)
        for revision in range(1, 5):
            await order(core, revision, 16)
            await station.idle()
            assert box.allows_a(core.clock.now(), transaction_since=started) == 16
            core.later(60)
        core.later(41)
        await station.idle()
        assert box.allows_a(core.clock.now(), transaction_since=started) == 0

    async def test_the_cascade_is_walked_once(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        box = ProfileBox(likes)
        station = await set_up(core, box, settings=settings)
        await order(core, 1, 16)
        await station.idle()
        refused = box.refusals
        for revision in range(2, 6):
            await order(core, revision, 6 + revision)
        await station.idle()
        assert box.refusals == refused

    async def test_the_next_one_of_its_kind_is_told_at_once(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        station = await set_up(core, ProfileBox(likes), settings=settings)
        await order(core, 1, 16)
        await station.idle()
        station.close()
        again = ProfileBox(likes)
        await set_up(core, again, settings=settings)
        await order(core, 2, 16)
        assert again.refusals == 0

    async def test_it_is_switched_off_when_it_is_let_go(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        box = ProfileBox(likes)
        station = await set_up(core, box, settings=settings)
        await order(core, 1, 16)
        core.registry.site_changed(site_of(evse(enabled=False), revision=2))
        await station.idle()
        later = core.clock.now() + timedelta(days=1)
        assert box.allows_a(later, transaction_since=later) == 0

    async def test_nothing_is_left_when_limits_are_cancelled(
        self, core: Core, likes: Likes, settings: dict[str, Any] | None
    ) -> None:
        box = ProfileBox(likes)
        station = await set_up(core, box, settings=settings)
        await order(core, 1, 16)
        cancel = DeactivationPolicy.CANCEL_LIMITS
        core.registry.site_changed(site_of(evse(enabled=False), revision=2, deactivation=cancel))
        await station.idle()
        assert box.profiles == []


@pytest.mark.parametrize(
    ("likes", "settings"), [box[1:] for box in BOXES], ids=[box[0] for box in BOXES]
)
async def test_a_box_that_knows_profiles_by_their_place_only_is_steered_too(
    core: Core, likes: Likes, settings: dict[str, Any] | None
) -> None:
    box = ProfileBox(likes, knows_ids=False)
    station = await set_up(core, box, settings=settings)
    now = core.clock.now()
    await station.call("StartTransaction", START)
    for revision, limit_a in ((1, 16), (2, 10)):
        await order(core, revision, limit_a)
        await station.idle()
        assert box.allows_a(now, transaction_since=now) == limit_a
    station.close()
    after = now + timedelta(seconds=101)
    assert box.allows_a(after, transaction_since=now) == 0


async def test_a_base_that_covers_the_lease_makes_the_limit_refused(core: Core) -> None:
    def likes(profile: dict[str, Any]) -> bool:
        is_lease = "duration" in profile["chargingSchedule"]
        is_default = profile["chargingProfilePurpose"] == "TxDefaultProfile"
        return is_default and profile["stackLevel"] == (1 if is_lease else 3)

    station = await set_up(core, ProfileBox(likes), settings=keys(ChargeProfileMaxStackLevel="4"))
    await order(core, 1, 16)
    await station.idle()
    await core.facilities.announcer.flush()
    await core.event(SetpointApplied, lambda event: event.outcome is SetpointOutcome.REFUSED)


async def test_a_maximum_of_the_station_is_deleted_where_a_deletion_of_all_is_refused(
    core: Core,
) -> None:
    box = ProfileBox(of_purpose("ChargePointMaxProfile"))
    station = await set_up(core, box)
    await order(core, 1, 16)
    station.answers["ClearChargingProfile"] = lambda call: (
        box.clear_profiles(call) if call else {"status": "Unknown"}
    )
    cancel = DeactivationPolicy.CANCEL_LIMITS
    core.registry.site_changed(site_of(evse(enabled=False), revision=2, deactivation=cancel))
    await station.idle()
    assert station.payloads("ClearChargingProfile")[0] == {}
    assert box.profiles == []


class TestTransactionOnly:
    """Boxes that take limits only while a transaction runs (evcc #9766)."""

    def box(self, running: Callable[[], int | None]) -> ProfileBox:
        return ProfileBox(
            lambda p: (
                p["chargingProfilePurpose"] == "TxProfile"
                and p.get("transactionId") == running()
                and running() is not None
            )
        )

    async def test_they_get_them_as_soon_as_one_runs(self, core: Core) -> None:
        running: list[int] = []
        box = self.box(lambda: running[-1] if running else None)
        station = await set_up(core, box)
        assert (await order(core, 1, 16)).outcome is SetpointOutcome.REFUSED
        assert box.profiles == []
        running.append((await station.call("StartTransaction", START))["transactionId"])
        core.later(1)
        await station.idle()
        now = core.clock.now()
        assert box.allows_a(now, transaction_since=now) == 16
        after = now + timedelta(seconds=130)
        assert box.allows_a(after, transaction_since=now) == 0

    async def test_afterwards_it_is_told_that_none_can_be_set(self, core: Core) -> None:
        running: list[int] = []
        box = self.box(lambda: running[-1] if running else None)
        station = await set_up(core, box)
        await order(core, 1, 16)
        running.append((await station.call("StartTransaction", START))["transactionId"])
        core.later(1)
        await station.idle()
        stop = {
            "transactionId": running[-1],
            "meterStop": 9,
            "timestamp": "2026-01-01T12:05:00Z",
        }
        await station.call("StopTransaction", stop)
        applied = await order(core, 2, 10)
        assert applied.outcome is SetpointOutcome.REFUSED
        assert "only while a transaction runs" in applied.detail


async def test_what_no_other_way_would_mend_is_asked_once(core: Core) -> None:
    station = await core.connect()
    station.answers[SET] = Fault("NotImplemented")
    await station.boot()
    await station.idle()
    assert len(station.payloads(SET)) == 1
    applied = await order(core, 1, 16)
    assert (applied.outcome, applied.detail) == (SetpointOutcome.REFUSED, "NotImplemented")


async def test_a_form_that_is_not_understood_leads_to_the_next(core: Core) -> None:
    box = ProfileBox(level_at_most(0))
    station = await core.connect()

    def answer(call: dict[str, Any]) -> Any:
        taken = box.set_profile(call)
        return taken if taken["status"] == "Accepted" else Fault("PropertyConstraintViolation")

    station.answers[SET] = answer
    await station.boot()
    assert (await order(core, 1, 16)).outcome is SetpointOutcome.ACCEPTED


async def test_a_box_that_refuses_everything_is_told_of_and_not_pestered(core: Core) -> None:
    box = ProfileBox(lambda _: False)
    station = await set_up(core, box)
    applied = await order(core, 1, 16)
    assert (applied.outcome, applied.detail) == (SetpointOutcome.REFUSED, "Rejected")
    sent = len(station.payloads(SET))
    await order(core, 2, 10)
    assert len(station.payloads(SET)) == sent + 1


async def test_a_limit_between_zero_and_six_is_sent_as_zero(core: Core) -> None:
    box = ProfileBox()
    await set_up(core, box)
    await order(core, 1, 5)
    now = core.clock.now()
    assert box.allows_a(now, transaction_since=now) == 0


async def test_what_is_rounded_to_the_same_is_not_sent_again(core: Core) -> None:
    station = await set_up(core, ProfileBox())
    await order(core, 1, 10.21)
    sent = len(station.payloads(SET))
    assert (await order(core, 2, 10.29)).outcome is SetpointOutcome.ACCEPTED
    assert len(station.payloads(SET)) == sent


class TestIgnoredDefault:
    """A box that heeds TxDefaultProfile only when a transaction begins (OCPP 1.6, 7.11)."""

    METER: dict[str, Any] = {  # noqa: RUF012 - never changed
        "sampledValue": [
            {"value": "16", "measurand": "Current.Import", "phase": f"L{n}", "unit": "A"}
            for n in (1, 2, 3)
        ]
    }

    async def charging(self, core: Core) -> tuple[FakeStation, int]:
        station = await set_up(core, ProfileBox())
        running = (await station.call("StartTransaction", START))["transactionId"]
        await station.idle()
        await order(core, 1, 10)
        return station, running

    async def measure(self, core: Core, station: FakeStation, amps: str = "16") -> None:
        values = [v | {"value": amps} for v in self.METER["sampledValue"]]
        stamp = core.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        payload = {
            "connectorId": 1,
            "meterValue": [{"timestamp": stamp, "sampledValue": values}],
        }
        await station.call("MeterValues", payload)

    def purposes(self, station: FakeStation) -> list[str]:
        return [p["csChargingProfiles"]["chargingProfilePurpose"] for p in station.payloads(SET)]

    async def test_its_transaction_gets_a_limit_of_its_own(self, core: Core) -> None:
        station, running = await self.charging(core)
        core.later(25)
        await self.measure(core, station)
        core.later(1)
        await station.idle()
        profile = station.payloads(SET)[-1]["csChargingProfiles"]
        assert profile["chargingProfilePurpose"] == "TxProfile"
        assert profile["transactionId"] == running
        await order(core, 2, 8)
        assert self.purposes(station)[-2:] == ["TxDefaultProfile", "TxProfile"]

    async def test_a_car_that_is_only_slow_does_not(self, core: Core) -> None:
        station, _ = await self.charging(core)
        core.later(10)
        await self.measure(core, station)
        core.later(1)
        await station.idle()
        assert "TxProfile" not in self.purposes(station)

    async def test_nor_does_one_that_heeds_it(self, core: Core) -> None:
        station, _ = await self.charging(core)
        core.later(25)
        await self.measure(core, station, "10")
        core.later(1)
        await station.idle()
        assert "TxProfile" not in self.purposes(station)


class TestModels:
    """Habits that a file tells, instead of refusals."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(evse(min_a=7))

    def named(self, core: Core, model: str) -> None:
        station = Station(id="CP1", protocol="ocpp", model=model)
        core.registry.site_changed(site_of(evse(min_a=7), revision=2, stations=(station,)))

    async def test_elvi_never_gets_zero_and_the_order_counts_as_refused(self, core: Core) -> None:
        self.named(core, "evbox-elvi")
        box = ProfileBox()
        station = await set_up(core, box)
        now = core.clock.now()
        assert box.allows_a(now, transaction_since=now) == 7
        await order(core, 1, 16)
        applied = await order(core, 2, 0)
        assert (applied.outcome, applied.limit_a) == (SetpointOutcome.REFUSED, 7)
        assert "faults at 0 A" in applied.detail
        limits = [
            period["limit"]
            for payload in station.payloads(SET)
            for period in payload["csChargingProfiles"]["chargingSchedule"][
                "chargingSchedulePeriod"
            ]
        ]
        assert limits == [7, 16, 7]

    async def test_its_silence_is_told_as_a_refusal_because_it_is_no_fallback(
        self, core: Core
    ) -> None:
        self.named(core, "evbox-elvi")
        await set_up(core, ProfileBox())
        await order(core, 1, 16)
        core.later(101)
        told = await core.event(SetpointApplied, lambda e: e.limit_a == 7)
        assert told.outcome is SetpointOutcome.REFUSED

    async def test_the_station_says_what_it_is(self, core: Core) -> None:
        station = await core.connect()
        await station.call(
            "BootNotification",
            {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "PLP1"},
        )
        await station.idle()
        kinds = {p["csChargingProfiles"]["chargingProfileKind"] for p in station.payloads(SET)}
        assert kinds == {"Relative"}

    async def test_the_operators_word_counts_more(self, core: Core) -> None:
        self.named(core, "huawei")
        station = await core.connect()
        await station.call(
            "BootNotification",
            {"chargePointVendor": "Wall Box Chargers", "chargePointModel": "PLP1"},
        )
        await station.idle()
        profile = station.payloads(SET)[0]["csChargingProfiles"]
        assert profile["chargingProfileKind"] == "Absolute"
        assert profile["chargingSchedule"]["chargingRateUnit"] == "W"

    async def test_go_e_gets_nothing_at_level_zero(self, core: Core) -> None:
        self.named(core, "go-e")
        station = await set_up(core, ProfileBox())
        await order(core, 1, 16)
        levels = {p["csChargingProfiles"]["stackLevel"] for p in station.payloads(SET)}
        assert levels == {1, 2}

    async def test_fewer_phases_that_cannot_be_told_are_refused(self, core: Core) -> None:
        self.named(core, "go-e")
        await set_up(core, ProfileBox())
        applied = await order(core, 1, 16, phases=1)
        assert applied.outcome is SetpointOutcome.REFUSED
        assert "phases" in applied.detail


class TestTwoOutlets:
    """A box with two connectors has no maximum of the station to be used."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(evse(1), evse(2))

    async def test_no_profile_is_sent_to_connector_zero(self, core: Core) -> None:
        station = await set_up(core, ProfileBox(lambda _: False))
        assert station.payloads(SET)
        assert all(payload["connectorId"] > 0 for payload in station.payloads(SET))


def test_the_box_of_these_tests_keeps_profiles_as_the_standard_says() -> None:
    box = ProfileBox()
    now = datetime.fromisoformat("2026-01-01T12:00:00+00:00")

    def put(level: int, limit: float, **changes: Any) -> None:
        schedule = {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        profile = {
            "chargingProfileId": level,
            "stackLevel": level,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        }
        box.set_profile({"connectorId": 1, "csChargingProfiles": profile | changes})

    assert box.allows_a(now, transaction_since=now) is None
    put(0, 6)
    put(3, 16)
    assert box.allows_a(now, transaction_since=now) == 16
    put(3, 20, chargingProfileId=0)
    assert [p["stackLevel"] for p in box.profiles] == [3], "the same id replaces"
    put(9, 10, chargingProfilePurpose="ChargePointMaxProfile", chargingProfileId=7)
    assert box.allows_a(now, transaction_since=now) == 10
    assert (
        box.clear_profiles({"chargingProfilePurpose": "TxDefaultProfile"})["status"] == "Accepted"
    )
    assert len(box.profiles) == 1
