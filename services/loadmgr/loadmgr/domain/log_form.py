"""Records of the decision log as lines of JSON, and back, exactly.

Facts are not thinned: leaving one out would change how old a measurement is. One that repeats what
the same thing said before is written as the fields that differ, which loses nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

import orjson
from pydantic import ValidationError

from loadmgr.domain.log_record import (
    Begun,
    Decided,
    Forgotten,
    Heard,
    LogRecord,
    Missing,
    OfferWord,
    Remembered,
    SetpointWord,
    SiteLoaded,
    StationLost,
)
from shared.contracts.charging import LimitChanged, PermissionChanged, Reason, SetpointApplied
from shared.contracts.evse import EvseObserved
from shared.contracts.message import Event
from shared.contracts.meter import MeterSampled
from shared.contracts.plan import PlanChanged
from shared.contracts.site import SiteConfig
from shared.contracts.station import StationConnected, StationDisconnected
from shared.ids import pseudonym

Words = dict[str, Any]
FORMAT = "parkade decision log"
VERSION = 1
FACTS: dict[str, type[Event]] = {
    kind.topic: kind
    for kind in (
        EvseObserved,
        MeterSampled,
        SetpointApplied,
        PermissionChanged,
        LimitChanged,
        PlanChanged,
        StationConnected,
        StationDisconnected,
    )
}
REPEATED = frozenset({EvseObserved.topic, MeterSampled.topic, PermissionChanged.topic})
"""Told again and again: of these only what differs is written. All others stay legible alone."""


class NoRecord(ValueError):
    """The line is no record of a decision log."""


class LogWriter:
    """Makes lines of records, for one file from its beginning."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], Words] = {}
        self._offers: Mapping[str, OfferWord] = {}
        self._forms: dict[type[Any], tuple[str, Callable[[Any], Words]]] = {
            Begun: ("begin", _begun),
            SiteLoaded: ("site", _site),
            Remembered: ("memory", lambda record: {"state": record.form}),
            Heard: ("fact", lambda record: self._fact(record.fact)),
            StationLost: ("lost", lambda record: {"station_id": record.station_id}),
            Forgotten: ("cold", lambda _: {}),
            Decided: ("decision", self._decision),
            Missing: ("gap", lambda record: {"records": record.records}),
        }

    def line(self, record: LogRecord) -> bytes:
        """Return a record as one line."""
        kind, words_of = self._forms[type(record)]
        at = record.at.isoformat()
        return orjson.dumps({"record": kind, "at": at, **words_of(record)}) + b"\n"

    def _fact(self, fact: Event) -> Words:
        said = _legible(fact)
        key = (fact.topic, fact.address.name)
        before = self._facts.get(key) if fact.topic in REPEATED else None
        self._facts[key] = said
        if before is None:
            return {"topic": fact.topic, "fact": said}
        differs = {name: value for name, value in said.items() if before[name] != value}
        return {"topic": fact.topic, "of": fact.address.name, "differs": differs}

    def _decision(self, decided: Decided) -> Words:
        words: Words = {}
        if decided.setpoints:
            words["setpoints"] = [_words_of(word) for word in decided.setpoints]
        if decided.offers is None:
            return words
        before, self._offers = self._offers, decided.offers
        changed = {key: word for key, word in decided.offers.items() if before.get(key) != word}
        words["offers"] = {evse_id: _words_of(word) for evse_id, word in changed.items()}
        gone = before.keys() - decided.offers.keys()
        return words | ({"gone": sorted(gone)} if gone else {})


class LogReader:
    """Makes records of the lines of one file, in their order."""

    def __init__(self) -> None:
        self._facts: dict[tuple[str, str], Words] = {}
        self._offers: dict[str, OfferWord] = {}
        self._records: dict[str, Callable[[datetime, Words], LogRecord]] = {
            "begin": _begun_of,
            "site": lambda at, words: SiteLoaded(
                at=at, site=SiteConfig.model_validate(words["site"]), is_new=words["is_new"]
            ),
            "memory": lambda at, words: Remembered(at=at, form=words["state"]),
            "fact": lambda at, words: Heard(at=at, fact=self._fact(words)),
            "lost": lambda at, words: StationLost(at=at, station_id=words["station_id"]),
            "cold": lambda at, _: Forgotten(at=at),
            "decision": self._decision,
            "gap": lambda at, words: Missing(at=at, records=words["records"]),
        }

    def record(self, line: bytes) -> LogRecord:
        """Return the record. Raises ``NoRecord`` when the line is none."""
        try:
            words = orjson.loads(line)
            return self._records[words["record"]](datetime.fromisoformat(words["at"]), words)
        except ValidationError as error:
            raise NoRecord(f"{error.error_count()} fields do not fit") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NoRecord(f"it cannot be read ({error})") from error

    def _fact(self, words: Words) -> Event:
        kind = FACTS[words["topic"]]
        if "fact" in words:
            said = words["fact"]
        else:
            said = self._facts[kind.topic, words["of"]] | words["differs"]
        fact = kind.model_validate(said)
        self._facts[kind.topic, fact.address.name] = said
        return fact

    def _decision(self, at: datetime, words: Words) -> Decided:
        setpoints = tuple(
            SetpointWord(**{**word, "reason": Reason.model_validate(word["reason"])})
            for word in words.get("setpoints", ())
        )
        if "offers" not in words:
            return Decided(at=at, setpoints=setpoints)
        changed = {
            evse_id: OfferWord(**{**word, "reason": Reason.model_validate(word["reason"])})
            for evse_id, word in words["offers"].items()
        }
        gone = set(words.get("gone", ()))
        kept = {key: word for key, word in self._offers.items() if key not in gone}
        self._offers = kept | changed
        return Decided(at=at, setpoints=setpoints, offers=self._offers)


def _begun(record: Begun) -> Words:
    begin = {"format": FORMAT, "version": VERSION}
    return {**begin, "program": record.program, "instance": record.instance}


def _begun_of(at: datetime, words: Words) -> Begun:
    if (words["format"], words["version"]) != (FORMAT, VERSION):
        raise NoRecord(f"{words['format']!r} {words['version']!r} is not known here")
    return Begun(at=at, program=words["program"], instance=words["instance"])


def _site(record: SiteLoaded) -> Words:
    return {"is_new": record.is_new, "site": record.site.model_dump(mode="json")}


def _words_of(word: SetpointWord | OfferWord) -> Words:
    reason = word.reason.model_dump(mode="json", exclude_none=True)
    return {**word._asdict(), "reason": reason}


def _legible(fact: Event) -> dict[str, Any]:
    """Return the fields of a fact; RFID tags as pseudonyms, and no number that JSON lacks."""
    said: dict[str, Any] = _finite(fact.model_dump(mode="json"))
    if isinstance(fact, EvseObserved) and fact.token is not None:
        said["token"] = pseudonym(fact.token)
    return said


def _finite(value: Any) -> Any:
    """What is not finite becomes a word that a contract reads as the same number."""
    if type(value) is float and not isfinite(value):
        return str(value)
    if type(value) is dict:
        return {key: _finite(item) for key, item in value.items()}
    return value
