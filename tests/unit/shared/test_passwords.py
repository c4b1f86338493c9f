"""Passwords that people type, and keys that we make."""

import re

import pytest

from shared import passwords
from shared.passwords import (
    hash_key,
    hash_password,
    is_hash,
    known_password_matches,
    new_key,
    password_matches,
)


def test_only_the_right_password_fits_its_hash() -> None:
    stored = hash_password("Tiefgarage Köln")
    assert password_matches(stored, "Tiefgarage Köln")
    assert not password_matches(stored, "tiefgarage köln")
    assert "Tiefgarage" not in stored


@pytest.mark.parametrize(
    "stored",
    [
        "no hash",
        "",
        "hmac-sha256$00$abc",
        f"hmac-sha256$zz${'0' * 64}",
        f"hmac-sha256$00${'x' * 64}",
    ],
)
def test_a_damaged_hash_fits_nothing(stored: str) -> None:
    assert not password_matches(stored, stored)
    assert not known_password_matches(stored, stored)
    assert not is_hash(stored)


def test_a_generated_key_has_160_bits_and_is_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"[0-9a-f]{40}", key) for key in keys)


def test_only_the_right_key_fits_its_hash() -> None:
    key = new_key()
    stored = hash_key(key)
    assert re.fullmatch(r"hmac-sha256\$[0-9a-f]{32}\$[0-9a-f]{64}", stored)
    assert password_matches(stored, key)
    assert not password_matches(stored, key[:-1] + ("0" if key[-1] != "0" else "1"))
    assert key not in stored


def test_two_hashes_of_one_key_differ_by_their_salt() -> None:
    key = new_key()
    assert hash_key(key) != hash_key(key)


def test_a_key_is_checked_without_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object) -> bool:
        raise AssertionError("Argon2 was asked")

    monkeypatch.setattr(passwords, "_argon2_matches", slow)
    key = new_key()
    assert password_matches(hash_key(key), key)
    assert known_password_matches(hash_key(key), key)


def test_a_typed_password_is_known_only_after_it_was_checked() -> None:
    stored = hash_password("Kellergeschoss")
    assert not known_password_matches(stored, "Kellergeschoss")
    assert not password_matches(stored, "Dach")
    assert not known_password_matches(stored, "Dach")
    assert password_matches(stored, "Kellergeschoss")
    assert known_password_matches(stored, "Kellergeschoss")


def test_an_answer_is_asked_of_argon2_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(_stored: str, presented: str) -> bool:
        asked.append(presented)
        return True

    monkeypatch.setattr(passwords, "_argon2_matches", count)
    for _ in range(3):
        assert password_matches("$argon2id$once", "pw")
    assert asked == ["pw"]


def test_remembered_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "REMEMBERED", 3)
    memory = passwords._Remembered()
    for number in range(5):
        memory.add("s", str(number), True)
    assert [memory.answer("s", str(number)) for number in range(5)] == [
        None,
        None,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("made", [hash_password("x"), hash_key("x")])
def test_both_kinds_are_hashes(made: str) -> None:
    assert is_hash(made)
