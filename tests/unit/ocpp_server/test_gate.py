"""Rates around admission: what is checked at once, what costs a thread, who has to wait."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from ocpp_server import gate as gate_module
from ocpp_server.domain.handshake import Admission, Handshake, Refusal
from ocpp_server.gate import RATE_REPORTS_PER_MINUTE, Gate
from shared.clock import FakeClock
from shared.contracts.site import OcppServerConfig, SiteConfig, Station
from shared.contracts.station import RefusalReason
from shared.passwords import hash_key

GUESSES = 4


@dataclass
class World:
    """A gate, its clock, and every password that Argon2 was asked about."""

    gate: Gate
    clock: FakeClock
    slow: list[str] = field(default_factory=list)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    site = SiteConfig(
        ocpp_server=OcppServerConfig(
            password_hash="$argon2id$good",
            handshakes_per_minute=3,
            failed_passwords_per_minute=GUESSES,
        ),
        stations=(Station(id="KEYED", protocol="ocpp", password_hash=hash_key("c0ffee")),),
    )
    made = World(Gate(lambda: site, clock=clock), clock)
    good: set[str] = set()

    def slow(stored: str, presented: str) -> bool:
        made.slow.append(presented)
        if presented == "good":
            good.add(stored)
        return presented == "good"

    def known(stored: str, presented: str) -> bool:
        if stored.startswith("hmac"):
            from shared.passwords import known_password_matches

            return known_password_matches(stored, presented)
        return stored in good and presented == "good"

    monkeypatch.setattr(gate_module, "password_matches", slow)
    monkeypatch.setattr(gate_module, "known_password_matches", known)
    return made


def handshake(
    identity: str = "BOX", password: bytes | None = b"good", address: str | None = "203.0.113.7"
) -> Handshake:
    return Handshake(
        path=f"/{identity}",
        identity=identity,
        peer="203.0.113.7:1",
        tls=False,
        user=identity,
        password=password,
        limited_as=address,
    )


async def reason(world: World, shown: Handshake) -> RefusalReason | None:
    answer = await world.gate.admit(shown)
    return answer.reason if isinstance(answer, Refusal) else None


async def test_after_too_many_wrong_passwords_the_address_waits_and_argon2_rests(
    world: World,
) -> None:
    for number in range(GUESSES):
        shown = handshake(f"BOX{number}", f"guess{number}".encode())
        assert await reason(world, shown) is RefusalReason.PASSWORD
    asked = len(world.slow)
    answer = await world.gate.admit(handshake("BOX9", b"another"))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.status) == (RefusalReason.RATE, 429)
    assert answer.retry_after_s == 60 // GUESSES
    assert len(world.slow) == asked
    assert await reason(world, handshake("BOX9", b"x", address="198.51.100.1")) is (
        RefusalReason.PASSWORD
    )
    world.clock.advance(60 // GUESSES)
    assert await reason(world, handshake("BOX9", b"good")) is None


async def test_a_wrong_password_that_is_repeated_ends_in_a_limit_for_that_station(
    world: World,
) -> None:
    found = [await reason(world, handshake("BOX", b"old")) for _ in range(GUESSES + 1)]
    assert found == [RefusalReason.PASSWORD] * GUESSES + [RefusalReason.RATE]
    assert await reason(world, handshake("NEIGHBOUR")) is None


async def test_a_station_that_was_good_before_comes_in_while_its_address_has_to_wait(
    world: World,
) -> None:
    assert await reason(world, handshake("BOX")) is None
    for number in range(GUESSES):
        await world.gate.admit(handshake("EVIL", f"guess{number}".encode()))
    assert await reason(world, handshake("NEW", b"unseen")) is RefusalReason.RATE
    assert await reason(world, handshake("BOX")) is None


async def test_a_key_that_we_made_costs_no_thread(world: World) -> None:
    answer = await world.gate.admit(handshake("KEYED", b"\xc0\xff\xee"))
    assert isinstance(answer, Admission)
    assert world.slow == []


async def test_no_password_is_no_guess(world: World) -> None:
    for _ in range(3 * GUESSES):
        assert await reason(world, handshake(password=None)) is RefusalReason.PASSWORD
    assert world.slow == []


async def test_what_is_not_limited_may_try_for_ever(world: World) -> None:
    for number in range(3 * GUESSES):
        shown = handshake("BOX", f"guess{number}".encode(), address=None)
        assert await reason(world, shown) is RefusalReason.PASSWORD


async def test_one_address_cannot_guess_faster_by_guessing_at_once(world: World) -> None:
    shown = [handshake(f"BOX{n}", f"guess{n}".encode()) for n in range(50)]
    found = await asyncio.gather(*(reason(world, one) for one in shown))
    assert found.count(RefusalReason.PASSWORD) == GUESSES


async def test_connections_of_an_address_are_counted(world: World) -> None:
    assert [world.gate.turned_away("a") for _ in range(3)] == [None] * 3
    refusal = world.gate.turned_away("a")
    assert refusal is not None
    assert (refusal.reason, refusal.status, refusal.retry_after_s) == (RefusalReason.RATE, 429, 20)
    assert "handshakes_per_minute" in refusal.detail
    assert world.gate.turned_away("b") is None
    assert all(world.gate.turned_away(None) is None for _ in range(100))
    world.clock.advance(20)
    assert world.gate.turned_away("a") is None


async def test_a_flood_is_told_now_and_then(world: World) -> None:
    rate = Refusal(reason=RefusalReason.RATE, status=429, detail="x")
    told = sum(world.gate.is_news(handshake(), rate) for _ in range(1000))
    assert told == RATE_REPORTS_PER_MINUTE
    other = Refusal(reason=RefusalReason.PASSWORD, status=401, detail="x")
    assert all(world.gate.is_news(handshake(), other) for _ in range(1000))
