"""Identifiers as routing words."""

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.message import Address, service_address, station_address
from shared.ids import pseudonym, routing_word


@given(st.text(min_size=1, max_size=300))
def test_any_text_becomes_one_word_without_wildcards(text: str) -> None:
    word = routing_word(text)
    assert not set(word) & set(".*#")
    assert 0 < len(word.encode()) <= 150


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_different_texts_become_different_words(one: str, other: str) -> None:
    assert (routing_word(one) == routing_word(other)) == (one == other)


def test_a_station_cannot_take_the_address_of_a_service() -> None:
    assert station_address("site") != service_address("site")
    assert station_address("service:site").word != service_address("site").word
    assert Address("station", "a.b").word == "station:a%2Eb"


def test_a_pseudonym_tells_tags_apart_and_reveals_none() -> None:
    assert pseudonym("04A1B2") == pseudonym("04A1B2") != pseudonym("04A1B3")
    assert "04A1B2" not in pseudonym("04A1B2")
