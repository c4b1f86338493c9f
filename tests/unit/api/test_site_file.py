"""Reading and writing the site as YAML."""

from pathlib import Path

import pytest

from api.configuration import document_of
from api.domain.site_file import UnreadableFile, read_yaml, site_of, write_yaml
from api.domain.site_rules import problems

EXAMPLES = sorted(Path("examples").resolve().glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples_are_sites_without_problems(file: Path) -> None:
    site, found = site_of(read_yaml(file.read_text(encoding="utf-8")))
    assert site is not None, found
    assert problems(site) == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_what_is_written_reads_the_same(file: Path) -> None:
    site, _ = site_of(read_yaml(file.read_text(encoding="utf-8")))
    assert site is not None
    assert site_of(read_yaml(write_yaml(document_of(site)))) == (site, [])


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("name: x\nname: y\n", 2, 1, "key 'name' is written twice"),
        ("a: &x [1]\nb: *x\n", 2, 4, "anchors and aliases are not supported"),
        ("name: x\n  mode: y", 2, 7, "mapping values are not allowed"),
        ("name: \t\x00", 1, 1, "unacceptable character|control characters"),
        ("[" * 40, 1, 33, "more than 32 levels"),
        ("- a\n- b\n", 1, 1, "a site is a mapping"),
        ("", 1, 1, "a site is a mapping"),
        ("name: !!python/object/apply:os.system [x]", 1, 7, "could not determine a constructor"),
        ("when: 2026-99-99", 1, 1, "month must be"),
        ("? [a]\n: b\n", 1, 1, "unhashable"),
    ],
)
def test_unreadable_text_is_named_by_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(UnreadableFile, match=message) as refusal:
        read_yaml(text)
    assert (refusal.value.line, refusal.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("nane: x", "nane", "there is no such setting"),
        ("tokens: [{id: 04112233}]", "tokens[0].id", "put it in quotes"),
        ("circuits: [{id: a, limit_a: -1}]", "circuits[a].limit_a.L1", "greater than or equal"),
        (
            "evses: [{id: a, station: s, circuit: c, min_a: 20, max_a: 10}]",
            "evses[a]",
            "min_a 20.0 is above max_a 10.0",
        ),
        ("evses: 7", "evses", "valid tuple"),
        ("ocpp_server: {tls: maybe}", "ocpp_server.tls", "'off', 'detect' or 'on'"),
    ],
)
def test_wrong_fields_are_named_by_part(text: str, path: str, message: str) -> None:
    site, found = site_of(read_yaml(text))
    assert site is None
    assert found[0].path == path
    assert message in found[0].message
