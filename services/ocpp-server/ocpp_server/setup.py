"""What a station is configured to once it has booted: how often it reports what.

Never in monitor mode (S1). Nothing here is needed for charging, so a station that refuses is
served all the same.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from shared.contracts.ocpp import CallResult

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]

MEASURANDS = (
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Current.Offered",
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import",
    "Energy.Active.Import.Register,Current.Import",
    "Energy.Active.Import.Register,Power.Active.Import",
    "Energy.Active.Import.Register",
)
"""Tried in order: some stations take only some, or few (field notes 5.4, 27)."""

_TAKEN = frozenset({"Accepted", "RebootRequired"})


class Setup:
    """The settings of one connection."""

    def __init__(self, station: "Station") -> None:
        self._station = station
        self._done: dict[str, str] = {}
        """Key -> the wish that was dealt with, taken or not."""

    def send_again(self) -> None:
        """Forget what was sent."""
        self._done.clear()

    def next_step(self) -> Step | None:
        """Return the next setting to send."""
        if not self._station.known or not self._station.view.steers:
            return None
        for key, values in self._wishes().items():
            if self._done.get(key) != values[0]:
                return lambda: self._configure(key, values)
        return None

    def _wishes(self) -> dict[str, tuple[str, ...]]:
        """Key -> values to try, the best first."""
        server = self._station.view.site.ocpp_server
        return {
            "MeterValuesSampledData": MEASURANDS,
            "MeterValueSampleInterval": (str(server.meter_interval_s),),
            "HeartbeatInterval": (str(server.heartbeat_interval_s),),
        }

    async def _configure(self, key: str, values: tuple[str, ...]) -> None:
        self._done[key] = values[0]
        for value in values:
            reply = await self._station.call("ChangeConfiguration", {"key": key, "value": value})
            if reply.status in _TAKEN:
                return
            if reply.outcome is not CallResult.ANSWERED or reply.status == "NotSupported":
                break
        logger.info("%s does not take %s: %s", self._station.id, key, reply.summary)
