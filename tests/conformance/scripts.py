"""What a test has a charge point answer to the central system."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Payload = dict[str, Any]


@dataclass(frozen=True)
class Refuse:
    """A scripted answer that is a CALLERROR."""

    code: str


Script = Payload | Refuse | Callable[[Payload], Payload | Awaitable[Payload]]


@dataclass(frozen=True)
class Rule:
    """What is answered to a call of the central system."""

    action: str
    script: Script
    when: Payload
    """Fields that the call's payload must have for the rule to be used."""

    def fits(self, action: str, payload: Payload) -> bool:
        """Tell whether the rule is about a call."""
        return action == self.action and all(payload.get(k) == v for k, v in self.when.items())
