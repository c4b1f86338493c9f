"""A box that can change between three phases and one: what it was told, and what is certain.

Phases change only while nothing is offered: the box interrupts charging for it anyway, and what may
flow stays reserved on all phases until it has confirmed the single one.
"""

from dataclasses import dataclass

from loadmgr.domain.moment import NEVER
from loadmgr.domain.vehicle import DRAWING_A


@dataclass(slots=True)
class PhaseSwitch:
    """How many phases a box was told to use. Nothing told means as it likes."""

    told: int | None = None
    revision: int = 0
    """The setpoint that told it first."""
    changed_s: float = NEVER
    is_confirmed: bool = False
    is_refuted: bool = False
    """Its car was seen to use other lines although it was told to feed one."""

    @property
    def is_single(self) -> bool:
        """It certainly feeds its first line only."""
        return self.told == 1 and self.is_confirmed and not self.is_refuted

    def sent(self, phases: int, revision: int, now_s: float) -> bool:
        """Note what it is being told; return whether that is a change."""
        if phases == self.told:
            return False
        self.told, self.revision, self.changed_s = phases, revision, now_s
        self.is_confirmed = False
        return True

    def watch(self, line_a: tuple[float | None, ...]) -> None:
        """Note what flows: a box that accepts one phase and feeds three is not believed again."""
        others = [amps for amps in line_a[1:] if amps is not None]
        if self.is_single and max(others, default=0.0) > DRAWING_A:
            self.is_refuted = True

    def accepted(self, revision: int) -> None:
        """Note that the box took a setpoint, and the phases with it."""
        if self.told is not None and revision >= self.revision:
            self.is_confirmed = True
