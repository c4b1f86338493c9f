"""Who decides in a virtual garage: load management itself, or whatever it is compared with."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from loadmgr.domain.plan import decide
from loadmgr.domain.rhythm import Haste
from loadmgr.domain.site_model import SiteModel
from loadmgr.domain.state import State
from shared.contracts.charging import ApplySetpoint
from shared.contracts.message import Event


class Control(Protocol):
    """It hears facts, and from time to time decides."""

    def hear(self, event: Event, now_s: float) -> bool:
        """Take in a fact (``now_s`` in seconds of UTC); return whether to decide at once."""
        ...

    def decide(self, now: datetime) -> Sequence[ApplySetpoint]:
        """Return the setpoints to send now."""
        ...


class LoadManagement:
    """The decision of the product, as it is."""

    def __init__(self, model: SiteModel, now_s: float) -> None:
        """Begin with an empty memory."""
        self._model = model
        self.state = State()
        self.state.fit(model, now_s)

    def hear(self, event: Event, now_s: float) -> bool:
        """Take in a fact."""
        return self.state.hear(self._model, event, now_s) is Haste.NOW

    def decide(self, now: datetime) -> Sequence[ApplySetpoint]:
        """Decide."""
        return decide(self._model, self.state, now).setpoints
