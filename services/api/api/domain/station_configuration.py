"""What a station is set to, beside what it is to be set to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.station import ConfigurationEntry, StationConfigurationRead

MASK = "***"
_SECRETS = frozenset({"authorizationkey"})
"""Write-only by OCPP; a station that shows it all the same must not make us show it."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A key that is not as it is to be."""

    key: str
    wanted: str
    actual: str | None
    """``None`` = the station does not know the key."""


def shown_entries(entries: Sequence[ConfigurationEntry]) -> list[ConfigurationEntry]:
    """Return the entries as operators see them: by key, secrets masked."""
    masked = [
        entry.model_copy(update={"value": MASK})
        if entry.value is not None and entry.key.casefold() in _SECRETS
        else entry
        for entry in entries
    ]
    return sorted(masked, key=lambda entry: entry.key.casefold())


def shown_wanted(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what is wanted as operators see it: secrets masked."""
    return {key: MASK if key.casefold() in _SECRETS else value for key, value in wanted.items()}


def drift(read: StationConfigurationRead) -> list[Drift]:
    """Return the wanted keys that the station has otherwise, or not at all.

    Keys are compared without regard to case, values without quotes and blanks (field notes 5.4,
    27). What can only be written is not judged, nor is what a station that tells only some of its
    keys does not tell.
    """
    told = {entry.key.casefold(): entry for entry in read.entries}
    unknown = {key.casefold() for key in read.unknown}
    found: list[Drift] = []
    for key, wanted in sorted(read.wanted.items()):
        name = key.casefold()
        entry = told.get(name)
        if entry is not None:
            if entry.value is not None and not _is_same(entry.value, wanted):
                found.append(Drift(key=key, wanted=wanted, actual=entry.value))
        elif (read.complete or name in unknown) and name not in _SECRETS:
            found.append(Drift(key=key, wanted=wanted, actual=None))
    return [one for one in found if one.key.casefold() not in _SECRETS]


def _is_same(actual: str, wanted: str) -> bool:
    return _plain(actual) == _plain(wanted)


def _plain(value: str) -> str:
    """``"A, B"`` is ``a,b``, and ``60.0`` is ``60``."""
    text = "".join(value.split()).strip("\"'").casefold()
    whole, _, fraction = text.partition(".")
    return whole if whole.lstrip("-").isdigit() and not fraction.strip("0") else text


def ocpp_text(value: str | bool | float) -> str:
    """Return a value as ChangeConfiguration carries it: ``true``, ``60``, or the text itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
