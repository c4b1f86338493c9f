"""Local authorization lists: what goes out, by which version, and what becomes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.answers import Fault
from ocpp_server.domain.local_list import (
    MOST_MESSAGES,
    entries,
    next_version,
    piece_length,
    updates,
    wanted_version,
)
from ocpp_server.v16.schemas import request_validator
from shared.contracts.message import ActionOutcome
from shared.contracts.site import Mode, SiteConfig, Station, Token, TokenStatus
from shared.contracts.station import LocalListChanged, SendLocalList
from tests.ocpp_core import Core, FakeStation, site_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ACCEPTED = {"status": "Accepted"}
SEND, VERSION = "SendLocalList", "GetLocalListVersion"


def listed_site(**changes: Any) -> SiteConfig:
    station = Station(id="CP1", protocol="ocpp", local_list=True)
    return site_of(**({"stations": (station,), "tokens_revision": 5} | changes))


WANTED = wanted_version(5)


class TestRules:
    """Pure rules."""

    def test_an_entry_has_everything_that_is_known_of_its_token(self) -> None:
        until = NOW + timedelta(days=1)
        tokens = (
            Token(id="A", parent="FAMILY", expires_at=until),
            Token(id="B", status=TokenStatus.BLOCKED),
            Token(id="C", expires_at=NOW - timedelta(days=1)),
        )
        assert [entry["idTagInfo"] for entry in entries(tokens, now=NOW)] == [
            {
                "status": "Accepted",
                "parentIdTag": "FAMILY",
                "expiryDate": "2026-03-02T00:00:00Z",
            },
            {"status": "Blocked"},
            {"status": "Expired"},
        ]

    def test_a_tag_that_is_too_long_for_ocpp_is_left_out(self) -> None:
        tokens = (Token(id="x" * 20), Token(id="y" * 21))
        assert [entry["idTag"] for entry in entries(tokens, now=NOW)] == ["x" * 20]

    def test_one_message_has_the_wanted_version(self) -> None:
        (only,) = updates(({"idTag": "A"},), version=383, piece=10) or ()
        assert (only["listVersion"], only["updateType"]) == (383, "Full")

    def test_an_empty_list_is_sent_too(self) -> None:
        (only,) = updates((), version=383, piece=10) or ()
        assert only["localAuthorizationList"] == []

    @given(st.integers(0, 700), st.integers(1, 40), st.integers(0, 10_000))
    def test_the_pieces_are_the_list_in_growing_versions(
        self, length: int, piece: int, revision: int
    ) -> None:
        listed = entries([Token(id=f"T{n}") for n in range(length)], now=NOW)
        version = wanted_version(revision)
        found = updates(listed, version=version, piece=piece)
        if -(-length // piece) > MOST_MESSAGES:
            assert found is None
            return
        assert found is not None
        assert [e for message in found for e in message["localAuthorizationList"]] == list(listed)
        versions = [message["listVersion"] for message in found]
        assert versions == list(range(version - len(found) + 1, version + 1))
        assert versions[0] > wanted_version(revision - 1)
        assert [m["updateType"] for m in found] == ["Full"] + ["Differential"] * (len(found) - 1)
        assert all(request_validator(SEND).is_valid(message) for message in found)
        assert all(len(m["localAuthorizationList"]) <= piece for m in found)

    @given(st.integers(0, 100_000), st.integers(0, 1_000))
    def test_the_next_version_is_newer_in_every_piece_and_means_no_revision(
        self, told: int, revision: int
    ) -> None:
        wanted = wanted_version(revision)
        found = next_version(told, wanted)
        assert found - MOST_MESSAGES + 1 > max(told, wanted)
        assert (found - wanted) % 64 != 0

    def test_the_stations_word_counts_for_the_length_of_a_piece(self) -> None:
        assert piece_length(7, 1_000) == 7
        assert piece_length(None, 10) == piece_length(0, 10) == 50
        assert piece_length(None, 63 * 100) == 100


@pytest.fixture
def site() -> SiteConfig:
    return listed_site()


async def set_up(core: Core, **answers: Any) -> FakeStation:
    station = await core.connect()
    station.answers[VERSION] = {"listVersion": 0}
    station.answers |= answers
    await station.boot()
    await station.idle()
    return station


async def last(core: Core) -> LocalListChanged:
    return await core.newest(LocalListChanged)


def configured(**keys: str) -> dict[str, Any]:
    return {"configurationKey": [{"key": k, "value": v} for k, v in keys.items()]}


async def ordered(core: Core) -> ActionOutcome:
    return await core.operator.ask(SendLocalList(station_id="CP1"), timeout_s=5)


async def test_a_station_without_the_list_gets_it(core: Core) -> None:
    station = await set_up(core)
    payload = await station.was_called(SEND)
    assert (payload["listVersion"], payload["updateType"]) == (WANTED, "Full")
    tags = [entry["idTag"] for entry in payload["localAuthorizationList"]]
    assert tags == ["GOOD", "BLOCKED", "EXPIRED"]
    told = await last(core)
    assert (told.version, told.wanted, told.detail) == (WANTED, WANTED, "")


async def test_a_station_that_has_it_is_left_alone(core: Core) -> None:
    station = await set_up(core, **{VERSION: {"listVersion": WANTED}})
    assert station.payloads(SEND) == []
    assert (await last(core)).version == WANTED


async def test_changed_tokens_are_sent(core: Core) -> None:
    station = await set_up(core)
    core.registry.site_changed(listed_site(revision=2, tokens_revision=6, tokens=()))
    await station.idle()
    assert len(station.payloads(SEND)) == 2
    payload = await station.was_called(SEND, times=2)
    assert payload["listVersion"] == wanted_version(6)
    core.registry.site_changed(listed_site(revision=3, tokens_revision=6, tokens=()))
    await station.idle()
    assert len(station.payloads(SEND)) == 2


async def test_a_long_list_goes_out_in_pieces(core: Core) -> None:
    station = await set_up(core, GetConfiguration=configured(SendLocalListMaxLength="2"))
    sent = station.payloads(SEND)
    assert [(m["updateType"], m["listVersion"]) for m in sent] == [
        ("Full", WANTED - 1),
        ("Differential", WANTED),
    ]
    assert [len(m["localAuthorizationList"]) for m in sent] == [2, 1]


async def test_a_list_that_is_too_long_for_the_station_is_not_sent(core: Core) -> None:
    station = await set_up(core, GetConfiguration=configured(LocalAuthListMaxLength="2"))
    assert station.payloads(SEND) == []
    assert "holds 2 tokens, the site has 3" in (await last(core)).detail


async def test_a_station_without_lists_gets_none(core: Core) -> None:
    station = await set_up(core, **{VERSION: {"listVersion": -1}})
    assert station.payloads(SEND) == []
    told = await last(core)
    assert (told.version, told.detail) == (-1, "the station has no local lists")


async def test_a_station_that_does_not_know_the_question_gets_none(core: Core) -> None:
    station = await set_up(core, **{VERSION: Fault("NotImplemented")})
    assert station.payloads(SEND) == []
    told = await last(core)
    assert told.version is None
    assert "NotImplemented" in told.detail


@pytest.mark.parametrize(("status", "version"), [("NotSupported", -1), ("Failed", 0)])
async def test_a_refusal_is_told_and_not_pestered(core: Core, status: str, version: int) -> None:
    station = await set_up(core, **{SEND: {"status": status}})
    core.later(60)
    core.registry.site_changed(listed_site(revision=2))
    await station.idle()
    assert len(station.payloads(SEND)) == 1
    told = await last(core)
    assert (told.version, told.detail) == (version, status)


async def test_a_list_of_somebody_else_is_replaced_by_a_higher_version(core: Core) -> None:
    theirs = 9_000
    station = await set_up(
        core,
        **{
            VERSION: {"listVersion": theirs},
            SEND: lambda call: (
                ACCEPTED if call["listVersion"] > theirs else {"status": "VersionMismatch"}
            ),
        },
    )
    first, second = station.payloads(SEND)
    assert (first["listVersion"], first["updateType"]) == (WANTED, "Full")
    assert second["listVersion"] > theirs
    assert second["updateType"] == "Full"
    told = await last(core)
    assert told.version == told.wanted == second["listVersion"]


async def test_a_failed_piece_ends_the_sending(core: Core) -> None:
    station = await set_up(
        core,
        GetConfiguration=configured(SendLocalListMaxLength="1"),
        **{SEND: [ACCEPTED, {"status": "Failed"}]},
    )
    assert len(station.payloads(SEND)) == 2
    told = await last(core)
    assert (told.version, told.detail) == (WANTED - 2, "Failed")


async def test_the_operator_may_send_it_whatever_the_station_has(core: Core) -> None:
    station = await set_up(core, **{VERSION: {"listVersion": WANTED}})
    assert await ordered(core) == ActionOutcome(done=True, detail="Accepted")
    assert len(station.payloads(SEND)) == 1
    station.answers[SEND] = {"status": "Failed"}
    assert await ordered(core) == ActionOutcome(done=False, detail="Failed")


async def test_a_reboot_is_looked_at_again(core: Core) -> None:
    station = await set_up(core)
    await station.boot()
    await station.idle()
    assert len(station.payloads(VERSION)) == 2
    assert len(station.payloads(SEND)) == 2


class TestNotKept:
    """Stations whose list is nobody's business."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return site_of(tokens_revision=5)

    async def test_nothing_is_asked_or_sent(self, core: Core) -> None:
        station = await set_up(core)
        assert station.payloads(VERSION) == station.payloads(SEND) == []

    async def test_the_operator_may_send_it(self, core: Core) -> None:
        await set_up(core)
        assert (await ordered(core)).done
        assert (await last(core)).wanted is None


class TestMonitorMode:
    """S1."""

    @pytest.fixture
    def site(self) -> SiteConfig:
        return listed_site(mode=Mode.MONITOR)

    async def test_the_version_is_read_and_nothing_sent(self, core: Core) -> None:
        station = await set_up(core)
        assert len(station.payloads(VERSION)) == 1
        assert station.payloads(SEND) == []
