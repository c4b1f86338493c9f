"""Telling one station its limits in a way that it takes: tried in order, then remembered."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from ocpp_server.answers import StationReply
from ocpp_server.domain.configuration import entries_of, number_in, value_in
from ocpp_server.domain.profile_forms import (
    CONNECTORS_KEY,
    MAX_LEVEL_KEY,
    PHASES_KEY,
    RATE_UNIT_KEY,
    Cascade,
    Form,
    forms,
    rate_units,
)
from ocpp_server.facilities import Facilities
from shared.contracts.ocpp import CallResult

if TYPE_CHECKING:
    from ocpp_server.station import Station

logger = logging.getLogger(__name__)

KEYS_TIMEOUT_S = 10.0
_KEYS = (RATE_UNIT_KEY, MAX_LEVEL_KEY, CONNECTORS_KEY, PHASES_KEY)
_HOPELESS = frozenset({"NotImplemented", "NotSupported", "SecurityError"})
"""CALLERRORs that no other way of telling a limit would mend."""

Build = Callable[[Form], dict[str, Any]]

NEEDS_TRANSACTION = StationReply(
    outcome=CallResult.ERROR, error_code="it takes limits only while a transaction runs"
)


class ProfileSender:
    """The way of one connection to tell limits."""

    def __init__(self, station: "Station", facilities: Facilities) -> None:
        self._station = station
        self._habits = facilities.habits
        self._cascade: Cascade | None = None
        self._model_name = ""
        self._learned: Form | None = None
        """The way that the habits know to work here."""
        self._phases_told: str | None = None
        """What the station says about switching phases."""

    @property
    def is_ready(self) -> bool:
        """It is known what the station says of its abilities."""
        return self._cascade is not None

    @property
    def can_switch_phases(self) -> bool:
        """The number of phases can be ordered of this station."""
        return self._station.model.can_switch_phases(self._phases_told)

    def start_again(self) -> None:
        """Forget what the station said and refused."""
        self._cascade = None

    def form(self, *, has_transaction: bool) -> Form | None:
        """Return the way that is used now."""
        if self._cascade is None:
            return None
        return self._cascade.current(has_transaction=has_transaction)

    def transaction_began(self) -> None:
        """Ways that need a transaction can be tried now."""
        if self._cascade is not None:
            self._cascade.transaction_began()

    async def prepare(self) -> None:
        """Ask what the station can do; without an answer it gets ampere and the usual levels."""
        named = self._station.named_model
        told: dict[str, str | None] = {}
        limit = named.model.keys_per_question or len(_KEYS)
        for at in range(0, len(_KEYS) if named.model.answers_configuration else 0, limit):
            question = {"key": list(_KEYS[at : at + limit])}
            reply = await self._station.call("GetConfiguration", question, timeout_s=KEYS_TIMEOUT_S)
            told |= {entry.key: entry.value for entry in entries_of(reply.payload)}
            if reply.outcome in {CallResult.TIMEOUT, CallResult.OFFLINE}:
                break
        self._phases_told = value_in(told, PHASES_KEY)
        unit = named.model.rate_unit
        ways = forms(
            named.model,
            max_level=number_in(told, MAX_LEVEL_KEY),
            units=(unit,) if unit else rate_units(value_in(told, RATE_UNIT_KEY)),
            has_one_connector=self._has_one_connector(number_in(told, CONNECTORS_KEY)),
        )
        self._model_name, self._learned = named.name, None
        proved = self._habits.form_of(self._station.id, named.name)
        self._cascade = Cascade(ways, proved=proved)

    async def send(
        self, build: Build, *, has_transaction: bool
    ) -> tuple[StationReply, Form | None]:
        """Send a profile in the first way that is taken; return the answer and the way.

        Only a refusal is answered with another way. Silence may mean that the limit is there.
        """
        if self._cascade is None:
            await self.prepare()
        cascade = self._cascade
        while cascade is not None:
            form = cascade.current(has_transaction=has_transaction)
            if form is None:
                break
            text = orjson.dumps(build(form)).decode()
            reply = await self._station.call_text("SetChargingProfile", text)
            if reply.status == "Accepted":
                cascade.accepted(form)
                self._learn(form)
                return reply, form
            if not _is_refused(reply) or not cascade.refused(form, has_transaction=has_transaction):
                return reply, form
            logger.debug("%s refuses %s", self._station.id, form)
        return NEEDS_TRANSACTION, None

    def _learn(self, form: Form) -> None:
        """Have the habits remember the way that works; once is enough."""
        if form != self._learned:
            self._learned = form
            self._habits.form_worked(self._station.id, self._model_name, form)

    def _has_one_connector(self, told: int | None) -> bool:
        return told == 1 if told is not None else len(self._station.evses) == 1


def _is_refused(reply: StationReply) -> bool:
    """The station understood and said no, or did not understand this form."""
    if reply.outcome is CallResult.ERROR:
        return reply.error_code not in _HOPELESS
    return reply.outcome is CallResult.ANSWERED
