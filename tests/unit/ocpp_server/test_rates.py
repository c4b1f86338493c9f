"""Token buckets of addresses, and who is limited at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp_server.domain.failed_passwords import FailedPasswords
from ocpp_server.domain.rates import Rates, is_within, limited_address, networks_of

PRIVATE = networks_of("10.0.0.0/8, 172.16.0.0/12,192.168.0.0/16")


def test_as_many_as_allowed_pass_at_once_and_no_more() -> None:
    rates = Rates()
    assert [rates.take("a", per_minute=3, now=0) for _ in range(4)] == [True, True, True, False]
    assert rates.take("b", per_minute=3, now=0), "another address has its own"


def test_tokens_come_back_evenly_and_never_more_than_a_minute_of_them() -> None:
    rates = Rates()
    for _ in range(6):
        rates.take("a", per_minute=6, now=0)
    assert rates.wait_s("a", per_minute=6, now=0) == 10
    assert not rates.take("a", per_minute=6, now=9.9)
    assert rates.take("a", per_minute=6, now=10)
    hours_later = [rates.take("a", per_minute=6, now=9_999) for _ in range(7)]
    assert hours_later == [True] * 6 + [False]


def test_a_new_limit_counts_at_once() -> None:
    rates = Rates()
    for _ in range(100):
        rates.take("a", per_minute=100, now=0)
    assert not rates.take("a", per_minute=2, now=29)
    assert rates.take("a", per_minute=2, now=60)


def test_asking_takes_nothing() -> None:
    rates = Rates()
    assert all(rates.has_one("a", per_minute=1, now=0) for _ in range(5))
    assert rates.take("a", per_minute=1, now=0)
    assert not rates.has_one("a", per_minute=1, now=0)


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    rates = Rates()
    assert rates.take("a", per_minute=1, now=100)
    assert not rates.take("a", per_minute=1, now=0)


def test_memory_is_bounded_and_the_longest_unseen_is_forgotten() -> None:
    rates = Rates(most=3)
    for name in "abc":
        rates.take(name, per_minute=1, now=0)
    assert not rates.take("a", per_minute=1, now=0)
    rates.take("d", per_minute=1, now=0)
    assert len(rates) == 3
    assert not rates.has_one("a", per_minute=1, now=0), "seen again, so remembered"
    assert rates.has_one("b", per_minute=1, now=0), "forgotten"


@given(
    st.lists(st.floats(min_value=0, max_value=30), min_size=1, max_size=300),
    st.integers(min_value=1, max_value=50),
)
def test_no_minute_ever_sees_more_than_twice_the_limit(gaps: list[float], limit: int) -> None:
    rates, now, passed = Rates(), 0.0, []
    for gap in gaps:
        now += gap
        if rates.take("a", per_minute=limit, now=now):
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + 60 for at in passed) <= 2 * limit + 1


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", None),
        ("127.8.9.1", None),
        ("::1", None),
        ("172.18.0.4", None),
        ("::ffff:172.18.0.4", None),
        ("unix", "unix"),
        ("", None),
    ],
)
def test_what_an_address_is_counted_as(host: str, counted: str | None) -> None:
    assert limited_address(host, unlimited=PRIVATE) == counted


def test_a_private_address_that_a_proxy_names_is_limited() -> None:
    assert limited_address("192.168.1.20") == "192.168.1.20"


@pytest.mark.parametrize(
    ("host", "within"),
    [("10.1.2.3", True), ("11.1.2.3", False), ("::1", False), ("name", False)],
)
def test_networks(host: str, within: bool) -> None:
    assert is_within(host, PRIVATE) is within


def test_a_wrong_network_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        networks_of("10.0.0.1/8")
    assert networks_of(" ") == ()


def wrong(failed: FailedPasswords, identity: str, password: str, now: float = 0) -> None:
    failed.note("a", identity, fingerprint=hash(password), per_minute=3, now=now)


def wait_s(failed: FailedPasswords, identity: str, now: float = 0) -> int:
    return failed.wait_s("a", identity, per_minute=3, now=now)


def test_a_box_that_repeats_its_wrong_password_locks_out_itself_only() -> None:
    failed = FailedPasswords()
    for _ in range(50):
        wrong(failed, "box", "old")
    assert wait_s(failed, "box") == 20
    assert wait_s(failed, "neighbour") == 0


def test_who_guesses_is_locked_out_whatever_name_is_used() -> None:
    failed = FailedPasswords()
    for number in range(3):
        wrong(failed, f"box{number}", f"guess{number}")
    assert wait_s(failed, "box9") == 20
    assert failed.wait_s("b", "box9", per_minute=3, now=0) == 0
    assert wait_s(failed, "box9", now=20) == 0
