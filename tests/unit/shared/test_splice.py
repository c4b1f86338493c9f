"""One integer changes, and not a byte beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.splice import splice_integer


@pytest.mark.parametrize(
    ("text", "spliced"),
    [
        ('{"transactionId":5}', '{"transactionId":77}'),
        ('{ "transactionId" :\n -5 }', '{ "transactionId" :\n 77 }'),
        (
            '{"a":{"transactionId":1},"transactionId":5,"z":"\\u00e4 \\/"}',
            '{"a":{"transactionId":1},"transactionId":77,"z":"\\u00e4 \\/"}',
        ),
        (
            '{"data":"{\\"transactionId\\":5}","transactionId":5, "x":1.50}',
            '{"data":"{\\"transactionId\\":5}","transactionId":77, "x":1.50}',
        ),
        ('{"transaction\\u0049d":5}', '{"transaction\\u0049d":77}'),
        ('{"transactionId":1,"transactionId":2}', '{"transactionId":1,"transactionId":77}'),
    ],
)
def test_only_the_integer_changes(text: str, spliced: str) -> None:
    assert splice_integer(text, "transactionId", 77) == spliced


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "",
        "[]",
        "5",
        '{"transactionId":"5"}',
        '{"transactionId":5.0}',
        '{"transactionId":null}',
        '{"transactionId":true}',
        '{"a":{"transactionId":5}}',
        '{"transactionId":5',
        '{"transactionId" 5}',
        '{"transactionId":5} {}',
    ],
)
def test_without_such_an_integer_it_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        splice_integer(text, "transactionId", 77)


def test_a_deeply_nested_text_is_refused() -> None:
    with pytest.raises(ValueError):
        splice_integer('{"a":' + "[" * 100_000, "transactionId", 77)


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.integers())),
    st.integers(),
    st.integers(),
    st.sampled_from([None, 2]),
)
def test_the_rest_means_what_it_meant(
    other: dict[str, object], old: int, new: int, indent: int | None
) -> None:
    text = json.dumps(other | {"key": old}, indent=indent)
    assert json.loads(splice_integer(text, "key", new)) == other | {"key": new}
