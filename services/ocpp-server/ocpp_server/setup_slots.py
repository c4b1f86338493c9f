"""How many stations are being set up at once: after a restart of ours they all come together, and
what is urgent must not wait for what is not (field notes 5.1, 8)."""

from collections import OrderedDict
from collections.abc import Callable

SETUP_AT_ONCE = 50


class SetupSlots:
    """Places for those who are being set up. Nobody waits in here: who gets none is woken later."""

    def __init__(self, slots: int = SETUP_AT_ONCE) -> None:
        self._slots = slots
        self._inside: set[object] = set()
        self._waiting: OrderedDict[object, Callable[[], None]] = OrderedDict()

    def enter(self, who: object, wake: Callable[[], None]) -> bool:
        """Take a place, or have it already; otherwise ``wake`` is called when one is free."""
        if who not in self._inside and len(self._inside) >= self._slots:
            self._waiting.setdefault(who, wake)
            return False
        self._waiting.pop(who, None)
        self._inside.add(who)
        return True

    def leave(self, who: object) -> None:
        """Give the place back, or wait for none any longer."""
        was_waiting = self._waiting.pop(who, None) is not None
        if who not in self._inside and not was_waiting:
            return
        self._inside.discard(who)
        if self._waiting and len(self._inside) < self._slots:
            first, wake = next(iter(self._waiting.items()))
            self._waiting.move_to_end(first)  # it may be busy; the next place is for another one
            wake()

    def is_waiting(self, who: object) -> bool:
        """Tell whether somebody waits for a place."""
        return who in self._waiting
