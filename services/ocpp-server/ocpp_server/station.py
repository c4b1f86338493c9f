"""One connected station: who it is, what is known of its outlets, and how to talk to it."""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ocpp_server.answers import CallHandler, StationReply
from ocpp_server.conversation import Conversation
from ocpp_server.domain.connector import Connector, StationMemory
from ocpp_server.domain.model import Identity, Model
from ocpp_server.domain.site_view import NO_EVSES, SiteView
from ocpp_server.domain.tokens import INVALID, id_tag_info
from ocpp_server.driver import Driver
from ocpp_server.errands import Errands
from ocpp_server.facilities import Facilities
from ocpp_server.ledger import Transaction
from ocpp_server.link import Link
from shared.contracts.message import Event
from shared.contracts.site import Evse
from shared.contracts.station import StationBooted, StationConnected, StationDisconnected

logger = logging.getLogger(__name__)

_MEASURED_GRACE_S = 30


class Station:
    """A connection of a station. ``known`` is False while the operator has not configured it."""

    def __init__(
        self,
        link: Link,
        facilities: Facilities,
        *,
        handler_of: Callable[["Station"], CallHandler],
        on_closed: Callable[["Station"], None],
    ) -> None:
        self.id = link.admission.station_id
        self.known = facilities.view.configured_id(self.id) == self.id
        self.epoch = 0
        """Of this connection; 0 until the ledger has given one."""
        self.facilities = facilities
        self.connected_at = facilities.clock.now()
        self._link = link
        self._memory = facilities.memory(self.id) if self.known else StationMemory()
        self.conversation = Conversation(
            link,
            handler_of(self),
            clock=facilities.clock,
            log=facilities.log,
            on_closed=lambda: on_closed(self),
        )
        self.driver = Driver(self, facilities)
        self.errands = Errands(self.id)
        self._read_site()
        self.relayed = itertools.count()
        """Numbers the frames of this connection that a backend gets."""

    @property
    def model(self) -> Model:
        """Its habits."""
        return self.named_model.model

    @property
    def view(self) -> SiteView:
        """The present site."""
        return self.facilities.view

    def _read_site(self) -> None:
        """Look up what the hot path asks for again and again."""
        self.evses: Mapping[int, Evse] = self.view.evses_of(self.id) if self.known else NO_EVSES
        """Its EVSEs by connector; none while it is held."""
        self.backend_evse = next((e for e in self.evses.values() if e.backend is not None), None)
        """The first EVSE that a backend bills, for frames that name no connector."""
        self.named_model = self.facilities.habits.model_of(self.id, self.view)
        """Looked up again when it introduces itself."""

    def connector(self, number: int) -> Connector:
        """Return what is known of a configured connector."""
        return self._memory.connector(number)

    def is_present(self, told: Any) -> bool:
        """Tell whether a fact with this timestamp is of the present, and may steer."""
        return self._memory.timeline.is_present(told, self.facilities.clock.now())

    def token_info(self, token_id: str) -> dict[str, Any]:
        """Return the IdTagInfo that we give by ourselves. A held station gets nobody charged."""
        if not self.known:
            return INVALID
        view = self.view
        return id_tag_info(
            view.token(token_id),
            accept_unknown=view.site.accept_unknown_tokens,
            now=self.facilities.clock.now(),
        )

    def token_read(self, token_id: str) -> None:
        """A card was read somewhere at this station; put it where a car waits, if that is plain."""
        waiting = [
            number
            for number in self.evses
            if len(self.evses) == 1 or self._waits_for_token(self.connector(number))
        ]
        if len(waiting) == 1:
            self.connector(waiting[0]).take_token(token_id)
            self.announce(waiting[0])

    def _waits_for_token(self, connector: Connector) -> bool:
        has_vehicle = connector.state is not None and connector.state.has_vehicle
        return has_vehicle and connector.transaction_id is None

    def transaction_started(self, transaction: Transaction) -> None:
        """A transaction was recorded; it is shown while it runs."""
        number = transaction.connector
        if number not in self.evses or not transaction.is_open:
            return
        connector = self.connector(number)
        connector.transaction_id = transaction.id
        if (connector.token or "").casefold() != transaction.id_tag.casefold():
            connector.take_token(transaction.id_tag)
        self._tell_limits(transaction)
        self.announce(number)

    def _tell_limits(self, transaction: Transaction) -> None:
        since = transaction.started_at or transaction.start_received_at
        evse = self.evses[transaction.connector]
        self.driver.limits.transaction_started(evse, transaction.id, since)

    def transaction_stopped(self, transaction: Transaction) -> None:
        """A transaction has ended."""
        number = transaction.connector
        if number not in self.evses:
            return
        connector = self.connector(number)
        if connector.transaction_id == transaction.id:
            connector.transaction_id = None
            connector.token = None
            self.driver.limits.transaction_stopped(self.evses[number])
            self.announce(number)

    def booted(self, event: StationBooted) -> bool:
        """Take note of a boot; tells whether it is accepted."""
        self.facilities.announcer.tell(event)
        if self.known:
            self.facilities.habits.introduced(
                self.id, Identity.told(event.vendor, event.model, event.firmware)
            )
            self.named_model = self.facilities.habits.model_of(self.id, self.view)
            self.driver.booted()
        return self.known

    def restore(self, running: Sequence[Transaction]) -> None:
        """Take up the transactions that the ledger says run here."""
        for number in self.evses:
            self.connector(number).forget_present()
            self.connector(number).transaction_id = None
        for transaction in running:
            if transaction.connector in self.evses:
                connector = self.connector(transaction.connector)
                connector.transaction_id = transaction.id
                connector.token = transaction.id_tag
                self._tell_limits(transaction)

    def known_changed(self, known: bool) -> None:
        """The operator has configured this station, or has removed it."""
        self.known = known
        self._read_site()
        if known:
            self._memory = self.facilities.memory(self.id)
            self.driver.ask_for("BootNotification")  # it is accepted now

    def site_changed(self) -> None:
        """Look at the new site; outlets that were not configured before are asked for."""
        told = set(self.evses)
        self._read_site()
        if set(self.evses) - told:
            self.driver.ask_for("StatusNotification")
        self.driver.site_changed()
        self.announce_all()

    def announce_connected(self) -> None:
        """Tell that this station is here, and what is known of it."""
        handshake, admission = self._link.handshake, self._link.admission
        self.facilities.announcer.tell(
            StationConnected(
                station_id=self.id,
                epoch=self.epoch,
                protocol="ocpp",
                connected_at=self.connected_at,
                peer=handshake.peer,
                known=self.known,
                subprotocol=admission.subprotocol,
                tls=handshake.tls,
                security_profile=admission.security_profile,
                used_next_password=self._used_next_password,
                certificate_name=handshake.certificate_name,
                certificate_fingerprint=handshake.certificate_fingerprint,
            )
        )
        self.announce_all()

    @property
    def _used_next_password(self) -> bool:
        """It came with the password that is being given to it now, and not with an earlier one."""
        admission = self._link.admission
        if not admission.used_next_password:
            return False
        configured = self.view.site.station(self.id)
        return configured is not None and configured.next_password_hash == admission.password_hash

    def announce_disconnected(self) -> None:
        """Tell that this connection is gone, and the last word on its outlets."""
        self.facilities.announcer.tell(
            StationDisconnected(
                station_id=self.id,
                epoch=self.epoch,
                disconnected_at=self.facilities.clock.now(),
                reason=self.conversation.close_reason,
            )
        )
        self.announce_all(online=False)

    def announce(self, number: int, *, online: bool = True) -> None:
        """Tell what is known of one connector, if it is an EVSE."""
        observed = self._observed(number, online=online)
        if observed is not None:
            self.facilities.announcer.tell(observed)

    def announce_soon(self, number: int) -> None:
        """Tell soon what is known of one connector then: its measurements have changed."""
        self.facilities.announcer.tell_newest((self, number), lambda: self._look_at(number))

    def _look_at(self, number: int) -> Event | None:
        """What to tell of a connector now; the last word was told when the link closed."""
        return self._observed(number, online=True) if self.conversation.is_open else None

    def _observed(self, number: int, *, online: bool) -> Event | None:
        evse = self.evses.get(number)
        if evse is None:
            return None
        now = self.facilities.clock.now()
        return self.connector(number).observed(evse, epoch=self.epoch, online=online, now=now)

    def announce_all(self, *, online: bool = True) -> None:
        """Tell what is known of every EVSE."""
        for number in self.evses:
            self.announce(number, online=online)

    async def run(self) -> None:
        """Serve this connection until it is closed."""
        async with asyncio.TaskGroup() as group:
            driving = group.create_task(self.driver.run())
            self.errands.open(group)
            await self.conversation.run()
            driving.cancel()
            self.errands.cancel()

    async def call(
        self, action: str, payload: Mapping[str, Any], *, timeout_s: float | None = None
    ) -> StationReply:
        """Call the station with a payload of our own making."""
        return await self.call_text(action, json.dumps(payload), timeout_s=timeout_s)

    async def call_text(
        self, action: str, payload_text: str, *, timeout_s: float | None = None
    ) -> StationReply:
        """Call the station with a payload that goes out as it is written."""
        patience = self.view.site.ocpp_server.call_timeout_s
        reply = await self.conversation.call(action, payload_text, timeout_s=timeout_s or patience)
        logger.debug("%s: %s -> %s", self.id, action, reply.summary)
        return reply

    def sweep(self) -> None:
        """Look at the time: measurements that are too old, leases and triggers that are due."""
        now = self.facilities.clock.now()
        max_age = timedelta(
            seconds=3 * self.view.site.ocpp_server.meter_interval_s + _MEASURED_GRACE_S
        )
        for number in self.evses:
            if self.connector(number).forget_old_measurement(now, max_age=max_age):
                self.announce(number)
        self.driver.sweep()

    def close(self, code: int, reason: str) -> None:
        """End this connection."""
        self.conversation.close(code, reason)
