"""The decision log read for what happened, not for deciding again: quick, and of facts only.

A day of a garage has millions of facts; making contracts of all of them takes minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from loadmgr.domain.log_form import NoRecord
from shared.contracts.evse import EvseObserved
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import PlanChanged
from shared.contracts.site import SiteConfig

Words = dict[str, Any]
SCANNED = frozenset({EvseObserved.topic, MeterSampled.topic, PlanChanged.topic})
SKIPPED = (b'{"record":"memory"', b'{"record":"lost"', b'{"record":"cold"')


@dataclass(frozen=True, slots=True)
class Said:
    """A fact, as its JSON has it."""

    at: datetime
    topic: str
    words: Words


@dataclass(frozen=True, slots=True)
class Sent:
    """The limits that were sent, by EVSE."""

    at: datetime
    limit_a: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Configured:
    """The site that is in force from here on."""

    at: datetime
    site: SiteConfig


class LogScan:
    """Reads the lines of one file in their order."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], Words] = {}

    def take(self, line: bytes) -> Said | Sent | Configured | None:
        """Return what a line tells, or nothing. Raises ``NoRecord``."""
        if line.startswith(SKIPPED):
            return None
        try:
            words = orjson.loads(line)
            return self._told(words["record"], words)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoRecord(f"it cannot be read ({error})") from error

    def _told(self, kind: str, words: Words) -> Said | Sent | Configured | None:
        if kind == "fact" and words["topic"] in SCANNED:
            return self._fact(words)
        if kind == "decision" and "setpoints" in words:
            limits = {word["evse_id"]: word["limit_a"] for word in words["setpoints"]}
            return Sent(datetime.fromisoformat(words["at"]), limits)
        if kind == "site":
            site = SiteConfig.model_validate(words["site"])
            return Configured(datetime.fromisoformat(words["at"]), site)
        return None

    def _fact(self, words: Words) -> Said:
        topic: str = words["topic"]
        if "fact" in words:
            said = words["fact"]
            of = said["meter_id"] if topic == MeterSampled.topic else said["evse_id"]
        else:
            of = words["of"]
            said = self._facts[topic, of] | words["differs"]
        self._facts[topic, of] = said
        return Said(datetime.fromisoformat(words["at"]), topic, said)
