"""How a call of the backend is answered, and what happens after the answer has gone out."""

from dataclasses import dataclass, field

from gateway.domain.effects import Effect
from gateway.domain.payloads import Payload, to_text


@dataclass(frozen=True)
class Fault:
    """A CALLERROR."""

    code: str
    description: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer to a call. Effects come after it, so that the backend hears things in order."""

    answer: str | Fault
    """The payload as text, or why there is none."""
    effects: tuple[Effect, ...] = field(default=())


def answered(payload: Payload, *effects: Effect) -> Outcome:
    """Return a positive answer."""
    return Outcome(to_text(payload), effects)


def status(word: str, *effects: Effect) -> Outcome:
    """Return the answer that most calls of OCPP 1.6 have."""
    return answered({"status": word}, *effects)


def fault(code: str, description: str = "") -> Outcome:
    """Return a negative answer."""
    return Outcome(Fault(code, description))
