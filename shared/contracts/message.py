"""The three kinds of message, and the address each one ends in."""

from typing import ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.ids import routing_word


class Address(NamedTuple):
    """Whom a message is about or for: a station, an EVSE, a meter, a circuit or a service.

    The space keeps names of different kinds apart, so that no station can take over the address of
    a service by calling itself like one.
    """

    space: str
    name: str

    @property
    def word(self) -> str:
        """The last word of the routing key."""
        return f"{self.space}:{routing_word(self.name)}"

    def __str__(self) -> str:
        return f"{self.space} {self.name}"


def station_address(station_id: str) -> Address:
    """Return the address that the holder of a station owns."""
    return Address("station", station_id)


def service_address(name: str) -> Address:
    """Return the address of a service of which one instance answers."""
    return Address("service", name)


class Contract(BaseModel):
    """Base of everything that travels: frozen, and tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class Message(Contract):
    """Something with a topic and an address.

    ``topic`` is ``noun.verb.vN``; ``address_space`` and ``address_field`` say what the address is.
    """

    topic: ClassVar[str]
    address_space: ClassVar[str] = "station"
    address_field: ClassVar[str] = "station_id"
    expires_after_s: ClassVar[float | None] = 30.0
    """A message older than this is not delivered any more; ``None`` for billing facts."""

    @property
    def address(self) -> Address:
        """The address of this message."""
        return Address(self.address_space, str(getattr(self, self.address_field)))

    @property
    def routing_key(self) -> str:
        """``<noun>.<verb>.<version>.<space>:<name>``, four words."""
        return f"{self.topic}.{self.address.word}"


class Event(Message):
    """A fact, in the past tense, for any number of listeners.

    A durable event is safe when ``publish`` returns; any other is a sample that may be lost.
    """

    durable: ClassVar[bool] = False


class Command(Message):
    """An order to the one owner of an address. Nobody answers; what happened comes as an event."""


class Reply(Contract):
    """What a request is answered with."""


class ActionOutcome(Reply):
    """What became of an operator's order."""

    done: bool
    detail: str = ""


R_co = TypeVar("R_co", bound=Reply, covariant=True)


class Request(Message, Generic[R_co]):
    """A question to the one owner of an address, with a time limit set by the asker."""

    reply: ClassVar[type[Reply]]
