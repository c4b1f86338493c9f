"""The number that local lists follow: it grows with the tokens, and only with them."""

from typing import Any

import pytest

from api.configuration import document_of, review
from shared.contracts.site import SiteConfig, Token


def stored() -> dict[str, Any]:
    site = SiteConfig(revision=7, tokens_revision=3, tokens=(Token(id="A"),))
    circuits = [{"id": "main", "limit_a": 32}]
    return document_of(SiteConfig.model_validate({**document_of(site), "circuits": circuits}))


@pytest.mark.parametrize(
    ("because", "change", "revision", "changed"),
    [
        ("another setting", {"name": "x"}, 3, ["name"]),
        ("a client cannot set it", {"tokens_revision": 99}, 3, []),
        ("not even to nonsense", {"tokens_revision": "x"}, 3, []),
        ("the same tokens", {"tokens": [{"id": "A"}]}, 3, []),
        ("a new token", {"tokens": [{"id": "A"}, {"id": "B"}]}, 8, ["tokens[B]"]),
        ("another status", {"tokens": [{"id": "A", "status": "blocked"}]}, 8, ["tokens[A].status"]),
        ("none left", {"tokens": [], "tokens_revision": 99}, 8, ["tokens[A]"]),
    ],
)
def test_tokens_revision(
    because: str, change: dict[str, Any], revision: int, changed: list[str]
) -> None:
    judged = review(lambda before: {**before, **change}, stored())
    assert judged.site is not None, judged.problems
    assert judged.site.tokens_revision == revision, because
    assert [found.path for found in judged.changes] == changed, because


def test_a_document_of_an_earlier_version_has_none() -> None:
    before = {key: value for key, value in stored().items() if key != "tokens_revision"}
    judged = review(lambda site: site, before)
    assert judged.site is not None
    assert judged.site.tokens_revision == 0
