"""Reading what a station is set to: all at once, or key by key.

OCPP 1.6, 5.9; field notes 5.4, 27. A station that never answers is served all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocpp_server.domain.configuration import (
    ASKED_KEYS,
    entries_of,
    group_size,
    groups,
    merged,
    unknown_of,
)
from ocpp_server.domain.model import Model
from shared.contracts.ocpp import CallResult
from shared.contracts.station import ConfigurationEntry

if TYPE_CHECKING:
    from ocpp_server.station import Station

TIMEOUT_S = 10.0
"""Some never answer, and a limit may be waiting behind the question."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is known of a station's keys."""

    entries: tuple[ConfigurationEntry, ...] = ()
    unknown: tuple[str, ...] = ()
    complete: bool = False


async def read_all(station: "Station", model: Model, *, wanted: Sequence[str]) -> Configuration:
    """Ask for every key; where that is not answered, for the usual and the wanted ones."""
    if not model.answers_configuration:
        return Configuration()
    if model.keys_per_question is None:
        reply = await station.call("GetConfiguration", {}, timeout_s=TIMEOUT_S)
        found = entries_of(reply.payload)
        if found:
            return Configuration(entries=merged((), found), complete=True)
    keys = tuple(dict.fromkeys((*ASKED_KEYS, *wanted)))
    return await read_keys(station, model, Configuration(), keys=keys)


async def read_keys(
    station: "Station", model: Model, known: Configuration, *, keys: Sequence[str]
) -> Configuration:
    """Ask for some keys and put the answers over what is known. Silence, or nothing, ends it."""
    entries, unknown = known.entries, known.unknown
    left = tuple(keys)
    while left:
        asked, *others = groups(left, group_size(entries, model))
        reply = await station.call("GetConfiguration", {"key": list(asked)}, timeout_s=TIMEOUT_S)
        if reply.outcome is not CallResult.ANSWERED:
            break
        found, missing = entries_of(reply.payload), unknown_of(reply.payload)
        if not found and not missing:
            break
        entries = merged(entries, found)
        unknown = tuple(dict.fromkeys((*unknown, *missing)))
        left = tuple(key for group in others for key in group)
    return Configuration(entries=entries, unknown=unknown, complete=known.complete)
