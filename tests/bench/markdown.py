"""Tables."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Raises ``ValueError`` when a row has more or fewer cells than the head."""
    rows = list(rows)
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"every row needs {len(head)} cells: {head}")
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
