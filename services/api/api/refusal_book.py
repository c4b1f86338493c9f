"""Refused connections of the present, and what of them is still to be written or deleted."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from api.domain.refusals import RefusalKey, RefusalRecord, is_solved_by, refused
from shared.contracts.station import StationConnected, StationRefused

MOST_REFUSALS = 2_000
"""Newer ones replace the oldest."""


class RefusalBook:
    """The newest refusals by what they have in common. ``touch`` is called when they change."""

    def __init__(self, touch: Callable[[], None]) -> None:
        self._touch = touch
        self._records: OrderedDict[RefusalKey, RefusalRecord] = OrderedDict()
        self._unsaved: dict[RefusalKey, RefusalRecord | None] = {}

    def remember(self, records: Iterable[RefusalRecord]) -> None:
        """Take over what was kept, unless something newer is here."""
        kept = {record.key: record for record in records}
        merged = sorted({**kept, **self._records}.values(), key=lambda record: record.last_at)
        self._records = OrderedDict((record.key, record) for record in merged)
        self._bound()
        self._touch()

    def newest(self, most: int = MOST_REFUSALS) -> list[RefusalRecord]:
        """Return some refusals, newest first."""
        found = list(self._records.values())[-most:]
        found.reverse()
        return found

    def refused(self, fact: StationRefused) -> None:
        """A connection was turned away."""
        fresh = refused(None, fact)
        record = refused(self._records.get(fresh.key), fact)
        self._records[record.key] = record
        self._records.move_to_end(record.key)
        self._unsaved[record.key] = record
        self._bound()
        self._touch()

    def connected(self, fact: StationConnected) -> None:
        """A station is here: that it was turned away before is settled."""
        mine = {"", fact.station_id.casefold()}
        solved = [
            key
            for key, record in self._records.items()
            if key[0] in mine and is_solved_by(record, fact)
        ]
        for key in solved:
            self._drop(key)
        if solved:
            self._touch()

    def take_unsaved(self) -> dict[RefusalKey, RefusalRecord | None]:
        """Return what has changed since the last time; ``None`` = it is gone."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def give_back(self, unsaved: dict[RefusalKey, RefusalRecord | None]) -> None:
        """Keep what could not be written for the next time; what is newer counts."""
        self._unsaved = {**unsaved, **self._unsaved}

    def _bound(self) -> None:
        while len(self._records) > MOST_REFUSALS:
            self._drop(next(iter(self._records)))

    def _drop(self, key: RefusalKey) -> None:
        del self._records[key]
        self._unsaved[key] = None
