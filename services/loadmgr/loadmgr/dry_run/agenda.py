"""What is to happen in a virtual garage, in the order of time."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf

Action = Callable[[float], None]
"""Something that is done at a time (seconds after the run's begin)."""


class Agenda:
    """Actions by time; those of one time in the order in which they were put."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._heap: list[tuple[float, int, Action]] = []
        self._number = count()

    def put(self, at_s: float, action: Action) -> None:
        """Do something at a time."""
        heappush(self._heap, (at_s, next(self._number), action))

    @property
    def next_s(self) -> float:
        """When the next action is due; infinite = there is none."""
        return self._heap[0][0] if self._heap else inf

    def pop(self) -> tuple[float, Action]:
        """Take the next action out."""
        at_s, _, action = heappop(self._heap)
        return at_s, action
