"""What a call of a station can be answered with, and what a call to it can come to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ocpp_server.domain.frames import Call, ErrorCode, Payload, payload_text_of
from shared.contracts.ocpp import CallResult


@dataclass(frozen=True, slots=True)
class Fault:
    """A CALLERROR. The description is a fixed text."""

    code: str
    description: str = ""


Answer: TypeAlias = Payload | str | Fault
"""A payload, a payload as text that goes out byte for byte, or a CALLERROR."""


class Keeping(Protocol):
    """Facts on their way to safety."""

    def then(self, act: Callable[[bool], None]) -> None:
        """Call ``act`` once they are safe (True) or cannot be kept (False), or at once if so."""
        ...


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that goes out when what it answers to is safe."""

    answer: Answer
    keeping: Keeping


class CallHandler(Protocol):
    """Answers the calls of one station."""

    def answer_now(self, call: Call) -> Answer | Later | None:
        """Answer without waiting for anything; None, and nothing done, where that cannot be."""
        ...

    async def answer(self, call: Call) -> Answer | Later:
        """Answer a call for which ``answer_now`` had none."""
        ...


INTERNAL_ERROR = Fault(ErrorCode.INTERNAL_ERROR, "the call could not be processed")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationReply:
    """What became of a call to the station. ``payload`` only when it was answered."""

    outcome: CallResult
    payload: dict[str, Any] | None = None
    text: str = ""
    """The whole frame as it came, of an answer."""
    error_code: str | None = None
    error_description: str | None = None

    @property
    def payload_text(self) -> str | None:
        """The payload as the station wrote it, byte for byte."""
        return payload_text_of(self.text) if self.text else None

    @property
    def status(self) -> str | None:
        """The ``status`` of the answer, which most of them have."""
        status = (self.payload or {}).get("status")
        return status if isinstance(status, str) else None

    @property
    def summary(self) -> str:
        """What happened, in one word or two."""
        if self.outcome is CallResult.ANSWERED:
            return self.status or "answered"
        return self.error_code or self.outcome.value
