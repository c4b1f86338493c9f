"""A small plot as SVG: both axes logarithmic. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 380, 70, 30, 60, 52
GREY, INK = "#e5e7eb", "#6b7280"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line through points, all coordinates above 0."""

    label: str
    colour: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """Whole decades, laid out between two places of the picture."""

    low: int
    high: int
    first: float
    last: float

    @classmethod
    def over(cls, values: Sequence[float], *, first: float, last: float) -> "Axis":
        """Return the smallest one that holds all values."""
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        return cls(low, max(high, low + 1), first, last)

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    @property
    def decades(self) -> list[int]:
        """The values at which a line is drawn."""
        return [10**power for power in range(max(self.low, 0), self.high + 1)]


def logarithmic_plot(curves: Sequence[Curve], *, title: str, across: str) -> str:
    """Return the picture; an empty one without curves."""
    points = [point for curve in curves for point in curve.points] or [(1.0, 1.0)]
    x = Axis.over([point[0] for point in points], first=LEFT, last=WIDTH - RIGHT)
    y = Axis.over([point[1] for point in points], first=HEIGHT - BOTTOM, last=TOP)
    style = "font-family:sans-serif;font-size:13px"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="{style}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-weight="bold">{title}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end" fill="{INK}">'
        f"{across}</text>",
        *_grid(x, y),
    ]
    for number, curve in enumerate(curves):
        parts += _curve(curve, x, y, label_x=LEFT + 200 * number)
    return "\n".join([*parts, "</svg>", ""])


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    for value in x.decades:
        place = f"{x.at(value):.1f}"
        parts.append(
            f'<line x1="{place}" x2="{place}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{GREY}"/>'
            f'<text x="{place}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="{INK}">'
            f"{value:,}</text>"
        )
    for value in y.decades:
        height = y.at(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" '
            f'stroke="{GREY}"/><text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end" '
            f'fill="{INK}">{value:,}</text>'
        )
    return parts


def _curve(curve: Curve, x: Axis, y: Axis, *, label_x: float) -> list[str]:
    places = [(x.at(across), y.at(up), up) for across, up in curve.points]
    line = " ".join(f"{left:.1f},{top:.1f}" for left, top, _ in places)
    dots = "".join(
        f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{curve.colour}"/>'
        f'<text x="{left:.1f}" y="{top - 9:.1f}" text-anchor="middle" fill="{curve.colour}">'
        f"{up:,.0f}</text>"
        for left, top, up in places
    )
    return [
        f'<polyline points="{line}" fill="none" stroke="{curve.colour}" stroke-width="2.5"/>',
        dots,
        f'<text x="{label_x}" y="44" fill="{curve.colour}">{curve.label}</text>',
    ]
