"""What JSON costs, before and after it is parsed: a frame must not hold up the other stations.

The parser of a hundred thousand values takes about 10 ms, of four million (8 MiB of ``1,1,1``) more
than 100 ms and as many objects. Counting characters is a hundred times cheaper.
"""

from typing import Any

FREE_CHARACTERS = 64 << 10
"""What is no longer than this is parsed without counting: it takes a millisecond at most."""
ELEMENTS_LIMIT = 500_000
"""Values in one frame. 8 MiB of samples as stations write them hold 450,000, which are parsed in
some 80 ms; refusing them would lose the transaction. Strangers have 256 KiB, 10 ms at most."""
_PIECE = 1 << 18
DEPTH_LIMIT = 64
"""Levels of lists and objects. OCPP 1.6 needs 9; DataTransfer may bring its own."""


def has_too_many_elements(text: str) -> bool:
    """Tell whether a long text holds more values than any message of a station.

    Every value is behind a comma or an opening bracket. Those inside of strings are counted too,
    which errs on the safe side by little: signed data have fewer than plain ones.
    """
    if len(text) <= FREE_CHARACTERS:
        return False
    found = 0
    for start in range(0, len(text), _PIECE):
        found += sum(text.count(sign, start, start + _PIECE) for sign in ",[{")
        if found > ELEMENTS_LIMIT:
            return True
    return False


def is_too_deep(text: str, parsed: Any) -> bool:
    """Tell whether lists and objects are nested too deeply in what a text was parsed to.

    The parser itself ends at 1,024 levels; what walks through values afterwards may end sooner.
    """
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return False
    level = _containers_in([parsed])
    for _ in range(DEPTH_LIMIT):
        if not level:
            return False
        level = [inner for outer in level for inner in _containers_in(outer)]
    return bool(level)


def _containers_in(outer: Any) -> list[Any]:
    values = outer.values() if isinstance(outer, dict) else outer
    return [value for value in values if isinstance(value, dict | list)]
