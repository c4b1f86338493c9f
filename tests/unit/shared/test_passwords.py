"""Passwords that people type."""

from shared.passwords import hash_password, password_matches


def test_only_the_right_password_fits_its_hash() -> None:
    stored = hash_password("Tiefgarage Köln")
    assert password_matches(stored, "Tiefgarage Köln")
    assert not password_matches(stored, "tiefgarage köln")
    assert "Tiefgarage" not in stored


def test_a_damaged_hash_fits_nothing() -> None:
    assert not password_matches("no hash", "no hash")
