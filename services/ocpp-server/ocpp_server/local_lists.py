"""Keeping the site's tokens in a station, for when nobody can be asked (OCPP 1.6, 3.5.2)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from ocpp_server.domain.configuration import number_in
from ocpp_server.domain.local_list import (
    MAX_LIST_KEY,
    MAX_PIECE_KEY,
    Payload,
    entries,
    next_version,
    piece_length,
    updates,
    wanted_version,
)
from ocpp_server.facilities import Facilities
from shared.contracts.message import ActionOutcome
from shared.contracts.station import ConfigurationEntry, LocalListChanged

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

NO_LISTS = -1
"""What a station without local lists says is its version (OCPP 1.6, 5.8)."""

Step = Callable[[], Awaitable[None]]


class LocalList:
    """The local list of one connection."""

    def __init__(
        self,
        station: "Station",
        facilities: Facilities,
        configuration: Callable[[], Sequence[ConfigurationEntry]],
    ) -> None:
        self._station = station
        self._facilities = facilities
        self._configuration = configuration
        self._is_read = False
        self._version: int | None = None
        self._tried_for: int | None = None
        """The revision of the tokens that were sent, taken or not."""
        self._sent: tuple[int, int] | None = None
        """The revision of the tokens that are there, and the version that they are there as."""
        self._one_sender = asyncio.Lock()
        self._last: LocalListChanged | None = None

    def read_again(self) -> None:
        """The station may have lost its list."""
        self._is_read = False
        self._tried_for = None

    def announce(self) -> None:
        """Tell again what is known."""
        if self._last is not None:
            self._facilities.announcer.tell(self._last)

    def next_step(self) -> Step | None:
        """Return what is to be asked or sent; nothing where no list is to be kept."""
        if not self._is_kept:
            return None
        if not self._is_read:
            return self._look
        view = self._station.view
        if not view.steers or self._version is None or self._version == NO_LISTS:
            return None
        revision = view.site.tokens_revision
        if self._version == self._wanted or self._tried_for == revision:
            return None
        return self._send

    async def send_now(self) -> ActionOutcome:
        """Send the site's tokens by order of the operator, whatever the station has."""
        async with self._one_sender:
            detail = await self._send_tokens()
        return ActionOutcome(done=detail == "Accepted", detail=detail)

    @property
    def _is_kept(self) -> bool:
        configured = self._station.view.station(self._station.id)
        return configured is not None and configured.local_list

    @property
    def _wanted(self) -> int:
        revision = self._station.view.site.tokens_revision
        if self._sent is not None and self._sent[0] == revision:
            return self._sent[1]
        return wanted_version(revision)

    async def _look(self) -> None:
        self._is_read = True
        detail = await self._ask_version()
        self._tell(detail)

    async def _send(self) -> None:
        async with self._one_sender:
            await self._send_tokens()

    async def _ask_version(self) -> str:
        reply = await self._station.call("GetLocalListVersion", {})
        told = (reply.payload or {}).get("listVersion")
        is_number = isinstance(told, int) and not isinstance(told, bool)
        self._version = told if is_number else None
        if self._version == NO_LISTS:
            return "the station has no local lists"
        return "" if is_number else f"its version is not known: {reply.summary}"

    async def _send_tokens(self) -> str:
        """Send the list; return the station's word, or why nothing was sent."""
        site = self._station.view.site
        self._tried_for = site.tokens_revision
        listed = entries(site.tokens, now=self._facilities.clock.now())
        most = self._number(MAX_LIST_KEY)
        if most is not None and 0 < most < len(listed):
            return self._tell(f"the station's list holds {most} tokens, the site has {len(listed)}")
        version = wanted_version(site.tokens_revision)
        status = await self._send_version(listed, version)
        if status == "VersionMismatch":
            await self._ask_version()
            version = next_version(self._version or 0, version)
            status = await self._send_version(listed, version)
        if status == "Accepted":
            self._version = version
            self._sent = (site.tokens_revision, version)
            logger.info("%s has %s tokens, version %s", self._station.id, len(listed), version)
            self._tell("")
            return status
        if status == "NotSupported":
            self._version = NO_LISTS
        logger.info("%s does not take its local list: %s", self._station.id, status)
        return self._tell(status)

    async def _send_version(self, listed: Sequence[Payload], version: int) -> str:
        """Send every message of a version; return the first word that is not ``Accepted``."""
        piece = piece_length(self._number(MAX_PIECE_KEY), len(listed))
        messages = updates(listed, version=version, piece=piece)
        if messages is None:
            return f"{len(listed)} tokens do not fit: the station takes {piece} at once"
        for message in messages:
            reply = await self._station.call("SendLocalList", message)
            if reply.status != "Accepted":
                return reply.summary
            self._version = message["listVersion"]
        return "Accepted"

    def _number(self, key: str) -> int | None:
        return number_in({e.key: e.value for e in self._configuration()}, key)

    def _tell(self, detail: str) -> str:
        self._last = LocalListChanged(
            station_id=self._station.id,
            version=self._version,
            wanted=self._wanted if self._is_kept else None,
            detail=detail,
            changed_at=self._facilities.clock.now(),
        )
        self._facilities.announcer.tell(self._last)
        return detail
