"""What the timestamps of a station mean: moments of UTC, or of the time of its place.

Decided by its model (field notes 5.1, 9) and the site's time zone. A zone that is not known, which
saving the site refuses, is taken as UTC.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from ocpp_server.domain.model import LocalTime
from ocpp_server.domain.sampled_values import Sampled
from ocpp_server.domain.timestamps import parse_local_timestamp, parse_timestamp
from ocpp_server.station import Station
from shared.time_zone import zone_named

ReadTime: TypeAlias = Callable[[object], datetime | None]


def time_reader(station: Station) -> ReadTime:
    """Return how the timestamps of a message that arrives now are read."""
    local_time = station.model.local_time
    if local_time is LocalTime.NEVER:
        return parse_timestamp
    zone = zone_named(station.view.site.time_zone)
    if zone is None:
        return parse_timestamp
    return partial(
        parse_local_timestamp,
        zone=zone,
        near=station.facilities.clock.now(),
        trusts_utc=local_time is LocalTime.WITHOUT_ZONE,
    )


def in_its_time(
    station: Station, entries: Sequence[Mapping[str, Any]], sampled: Sequence[Sampled]
) -> Sequence[Sampled]:
    """Return the samples of each MeterValue entry with their moments as the station means them."""
    read = time_reader(station)
    if read is parse_timestamp:
        return sampled
    return [
        one._replace(at=read(entry.get("timestamp")))
        for entry, one in zip(entries, sampled, strict=True)
    ]
