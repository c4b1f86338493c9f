"""Draws docs/picture.svg: three cars come to a 32 A fuse, one leaves. Measured, not sketched.

``python -m tests.e2e.picture`` runs the product in one process beside the simulated bays.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.conditions import eventually
from tests.e2e.bays import FUSE_A, Bays, site_of, three_bays
from tests.e2e.deployment import InOneProcess, running

TARGET = Path(__file__).parents[2] / "docs" / "picture.svg"
EVENTS = ((2.0, "bay-1"), (14.0, "bay-2"), (28.0, "bay-3"), (46.0, "-bay-2"))
LENGTH_S = 60.0
SAMPLE_S = 0.25
COLOURS = {"bay-1": "#2563eb", "bay-2": "#d97706", "bay-3": "#059669", "sum": "#111827"}
LABELS = {
    "bay-1": "OCPP box 1",
    "bay-2": "OCPP box 2",
    "bay-3": "Modbus box, billed by a backend",
    "sum": "all three",
}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 860, 360, 48, 40, 52


async def main() -> None:
    """Run, measure, draw."""
    with tempfile.TemporaryDirectory() as folder:
        deployment = InOneProcess(Path(folder))
        async with running(deployment), three_bays(deployment) as bays:
            answer = await deployment.api.put("/api/v1/site", json=site_of(deployment, bays))
            answer.raise_for_status()
            await eventually(lambda: all(box.is_connected for box in bays.boxes), within_s=40)
            samples = await _measure(bays)
    TARGET.write_text(_svg(samples))
    print(f"{TARGET} written; highest sum {max(s['sum'] for s in samples):.2f} A")


async def _measure(bays: Bays) -> list[dict[str, float]]:
    samples: list[dict[str, float]] = []
    waiting = list(EVENTS)
    while len(samples) * SAMPLE_S < LENGTH_S:
        now_s = len(samples) * SAMPLE_S
        while waiting and waiting[0][0] <= now_s:
            bay = waiting.pop(0)[1]
            if bay.startswith("-"):
                bays.drive_off(bay[1:])
            else:
                bays.drive_in(bay)
        drawn = {bay: bays.drawn_a(bay) for bay in ("bay-1", "bay-2", "bay-3")}
        total = max(bays.world.current_a("grid").known)
        samples.append({**drawn, "sum": total})
        await asyncio.sleep(SAMPLE_S)
    return samples


def _x(second: float) -> float:
    return LEFT + second / LENGTH_S * (WIDTH - LEFT - 20)


def _y(amps: float) -> float:
    return HEIGHT - BOTTOM - amps / 36 * (HEIGHT - BOTTOM - TOP)


def _svg(samples: Sequence[dict[str, float]]) -> str:
    style = "font-family:sans-serif;font-size:13px"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" style="{style}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for amps in (0, 8, 16, 24, 32):
        colour = "#dc2626" if amps == FUSE_A else "#e5e7eb"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{_y(amps):.1f}" y2="{_y(amps):.1f}" '
            f'stroke="{colour}"/><text x="8" y="{_y(amps) + 4:.1f}">{amps} A</text>'
        )
    parts.extend(
        f'<text x="{_x(second) - 10:.1f}" y="{HEIGHT - 16}" fill="#6b7280">{second} s</text>'
        for second in range(0, int(LENGTH_S) + 1, 10)
    )
    for number, (series, colour) in enumerate(COLOURS.items()):
        points = " ".join(
            f"{_x(index * SAMPLE_S):.1f},{_y(sample[series]):.1f}"
            for index, sample in enumerate(samples)
        )
        width = 1.5 if series == "sum" else 2.5
        dash = ' stroke-dasharray="5 3"' if series == "sum" else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"'
            f"{dash}/>"
        )
        at = LEFT + number * 150 + (70 if series == "sum" else 0)
        parts.append(f'<text x="{at}" y="24" fill="{colour}">{LABELS[series]}</text>')
    parts.append(
        f'<text x="{WIDTH - 130}" y="{_y(FUSE_A) - 6:.1f}" fill="#dc2626">fuse: 32 A a phase</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    asyncio.run(main())
