"""The benchmark's own books: a lost or doubled value must show."""

from tests.bench.bookkeeping import compare
from tests.bench.talker import WH_PER_STATION

SECOND = WH_PER_STATION


def test_books_are_right_when_every_acknowledged_value_is_stored_once() -> None:
    books = compare([2, 1], [0, 1, SECOND])
    assert books.are_right
    assert (books.acknowledged, books.stored) == (3, 3)


def test_an_acknowledged_value_that_is_not_stored_is_missing_even_if_the_count_fits() -> None:
    books = compare([2, 1], [0, SECOND, SECOND + 1])
    assert books.missing == 1
    assert books.unasked == 1
    assert not books.are_right


def test_a_value_stored_twice_is_told() -> None:
    books = compare([2], [0, 1, 1])
    assert books.doubled == 1
    assert not books.are_right


def test_a_stored_value_whose_answer_was_lost_is_no_fault() -> None:
    books = compare([1], [0, 1])
    assert books.unasked == 1
    assert books.are_right
