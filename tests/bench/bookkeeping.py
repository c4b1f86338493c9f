"""What was acknowledged against what is stored. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.talker import WH_PER_STATION


@dataclass(frozen=True, kw_only=True)
class Books:
    """MeterValues of all stations, told apart by their energy."""

    acknowledged: int
    stored: int
    missing: int
    """Acknowledged and not in the database: must be none."""
    doubled: int
    """More than once in the database: must be none."""
    unasked: int
    """In the database and not acknowledged: at most the last one of each station, whose answer was
    on its way when the connection broke."""

    @property
    def are_right(self) -> bool:
        """Nothing acknowledged is missing and nothing is there twice."""
        return self.missing == 0 and self.doubled == 0


def compare(acknowledged: Sequence[int], energies: Sequence[int]) -> Books:
    """Compare. Station ``n`` has acknowledged the first ``acknowledged[n]`` of its energies."""
    stored = Counter(energies)
    wanted = {
        number * WH_PER_STATION + sequence
        for number, count in enumerate(acknowledged)
        for sequence in range(count)
    }
    return Books(
        acknowledged=len(wanted),
        stored=len(energies),
        missing=len(wanted - stored.keys()),
        doubled=sum(count > 1 for count in stored.values()),
        unasked=len(stored.keys() - wanted),
    )
