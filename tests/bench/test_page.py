"""The page: parts can be renewed alone, and goals stand at its top."""

from tests.bench.goal import Goal, lines
from tests.bench.page import read, written
from tests.bench.plot import Curve, logarithmic_plot

ORDER = ["first", "second"]


def test_a_written_page_is_read_back_part_by_part() -> None:
    parts = {"first": "## One\n\nbody", "second": "## Two\n\n| a |"}
    assert read(written(parts, ORDER)) == parts


def test_a_page_of_another_kind_has_no_parts() -> None:
    assert read("# Benchmarks\n\n## Calls answered\n") == {}


def test_goals_of_every_part_are_repeated_at_the_top() -> None:
    missed = Goal(wanted="10/s", measured="9/s", is_met=False)
    top, _, _ = written({"second": f"## Two\n\n{lines([missed])}"}, ORDER).partition("<!--")
    assert missed.line() in top
    assert "**Not met**" in top


def test_what_a_measurement_lacks_is_said_beside_its_verdict() -> None:
    goal = Goal(wanted="a", measured="b", is_met=True, restriction="over 60 s only")
    assert goal.line().endswith("**Met**, but over 60 s only.")


def test_a_plot_names_every_curve_and_every_value() -> None:
    curve = Curve(label="server", colour="#111", points=[(10, 87.0), (5_000, 120.0)])
    picture = logarithmic_plot([curve], title="t", across="stations")
    assert all(text in picture for text in (">server<", ">87<", ">120<", ">1,000<"))
