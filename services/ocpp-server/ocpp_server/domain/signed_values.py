"""Values that a calibrated meter has signed, found wherever stations put them (S14).

The official shape is ``format: SignedData`` (OCA, Signed Meter Values in OCPP, chapter 3). Others
leave the format out, or say ``Raw``; they are recognised by what no plain value begins with.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_OCMF = re.compile(r"\s*OCMF\|\s*\{")
_JSON = re.compile(r'\s*\{.*"signedMeter(?:Data|Value)"\s*:', re.DOTALL)
"""``signedMeterData`` of the OCA, ``signedMeterValue`` of be.ENERGISED."""
_XML = re.compile(r"\s*<.*<(?:\w+:)?signedData[\s>]", re.DOTALL)
"""The file of the German transparency software, with EDL or OCMF in it."""


@dataclass(frozen=True, slots=True)
class SignedValue:
    """A signed value, as the station wrote it."""

    text: str
    context: str | None


def may_have_signed_values(frame_text: str) -> bool:
    """Take a cheap look at a frame: False only when there is none in it.

    Every MeterValues is looked at, so it is two searches: ``igned`` is in ``SignedData``,
    ``signedMeterValue`` and ``signedData``, and a bar is in nearly no frame without OCMF.
    """
    return "igned" in frame_text or ("|" in frame_text and "OCMF|" in frame_text)


def signed_values(entries: Iterable[Mapping[str, Any]]) -> list[SignedValue]:
    """Return every signed value of MeterValue entries, byte for byte, in their order."""
    return [
        SignedValue(sample["value"], sample.get("context"))
        for entry in entries
        for sample in entry.get("sampledValue") or ()
        if isinstance(sample.get("value"), str) and _is_signed(sample)
    ]


def _is_signed(sample: Mapping[str, Any]) -> bool:
    if sample.get("format") == "SignedData":
        return True
    value = sample["value"]
    return len(value) > 20 and any(shape.match(value) for shape in (_OCMF, _JSON, _XML))
