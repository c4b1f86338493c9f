"""A goal of the project beside what was measured, in plain words."""

from dataclasses import dataclass

PREFIX = "- **Goal**: "


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of the page."""

    wanted: str
    measured: str
    is_met: bool
    restriction: str = ""
    """What the measurement lacks, if anything: it is said beside the verdict."""

    def line(self) -> str:
        """Return it as Markdown."""
        verdict = "**Met**" if self.is_met else "**Not met**"
        but = f", but {self.restriction}" if self.restriction else ""
        return f"{PREFIX}{self.wanted}. Measured: {self.measured}. {verdict}{but}."


def lines(goals: list[Goal]) -> str:
    """Return a list of them."""
    return "\n".join(goal.line() for goal in goals) + "\n"
