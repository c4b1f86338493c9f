"""Changing one integer in JSON text and not a byte beside it."""

import json

_DECODER = json.JSONDecoder(strict=False)
_BLANK = " \t\r\n"


def splice_integer(text: str, key: str, value: int) -> str:
    """Return the text with the integer of a top-level key replaced; all else stays byte for byte.

    Signed and calibrated content must pass unchanged (S14, S15), so nothing is re-encoded. Raises
    ValueError when the text is no JSON object or the key is not an integer at its top level.
    """
    start, end = _span_of(text, key)
    if not text[start:end].lstrip("-").isdigit():
        raise ValueError(f"{key} is not an integer")
    return f"{text[:start]}{value}{text[end:]}"


def _span_of(text: str, key: str) -> tuple[int, int]:
    """Return where the value of a top-level key begins and ends; of several, the last counts."""
    found: tuple[int, int] | None = None
    position = _expect(text, 0, "{")
    if text[position : position + 1] == "}":
        raise ValueError(f"{key} is missing")
    while True:
        name, position = _value(text, position)
        start = _expect(text, position, ":")
        _, end = _value(text, start)
        if name == key:
            found = start, end
        position = _skip(text, end)
        if text[position : position + 1] != ",":
            break
        position = _skip(text, position + 1)
    if _expect(text, position, "}") != len(text):
        raise ValueError("more follows the JSON object")
    if found is None:
        raise ValueError(f"{key} is missing")
    return found


def _value(text: str, position: int) -> tuple[object, int]:
    try:
        value, end = _DECODER.raw_decode(text, position)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return value, end


def _expect(text: str, position: int, sign: str) -> int:
    position = _skip(text, position)
    if text[position : position + 1] != sign:
        raise ValueError(f"{sign} expected at {position}")
    return _skip(text, position + 1)


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _BLANK and position < len(text):
        position += 1
    return position
