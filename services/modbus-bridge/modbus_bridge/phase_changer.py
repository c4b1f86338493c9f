"""How far one outlet has come with changing its phases. Only ``writer`` writes."""

from dataclasses import dataclass, field

from modbus_bridge.domain.phases import (
    Asked,
    Progress,
    Ruling,
    Seen,
    Verdict,
    asked,
    failed,
    judge,
    seen,
)
from modbus_bridge.domain.reading import permitted_a
from modbus_bridge.domain.setpoint import PointWrite, write_of
from modbus_bridge.domain.template import PhaseSwitch
from modbus_bridge.outlet import Outlet
from shared.clock import Clock


@dataclass
class PhaseChanger:
    """The phases of one outlet, as ordered, as shown, and under way."""

    outlet: Outlet
    clock: Clock
    progress: Progress = field(default_factory=Progress)

    def forget(self) -> None:
        """The box was lost. One that is changing goes on with it."""
        self.progress = self.progress.disconnected()

    def asked(self, phases: int | None) -> Asked:
        """Return what an order means for this box."""
        values = self.outlet.registers.values
        return asked(phases, self._switch, values, evse=self.outlet.evse)

    def rule(self, phases: int | None) -> Verdict:
        """Return what to do now. A write is under way only when ``begin`` was called."""
        switch = self._switch
        if switch is None:
            return Verdict(ruling=Ruling.FREE, progress=self.progress)
        verdict = judge(
            phases, self._seen(switch), self.progress, switch=switch, now_s=self.clock.monotonic()
        )
        if verdict.write is None:
            self.progress = verdict.progress
        return verdict

    def meanwhile_a(self, limit_a: float, verdict: Verdict) -> float:
        """Return the limit until the phases are as ordered, in ampere per phase.

        Nothing; or no more than now, where the phases stay or the box sees to it by itself.
        """
        is_paused = verdict.ruling is Ruling.UNDER_WAY and not self._switches_alone
        if is_paused or verdict.ruling is Ruling.FAILED:
            return 0.0
        registers = self.outlet.registers
        return min(limit_a, permitted_a(registers.model.template, registers.values) or 0.0)

    def begin(self, verdict: Verdict, phases: int) -> PointWrite:
        """Return what to write. From now on it is under way: even silence may mean that it was
        heard."""
        assert self._switch is not None  # noqa: S101 - without one nothing is ruled
        self.progress = verdict.progress
        value = self._switch.value_for(phases)
        return write_of(self._switch.write, self.outlet.registers.model.points, value)

    def fail(self, phases: int, detail: str) -> Verdict:
        """The box did not do it; return what that means."""
        verdict = failed(phases, detail, self.clock.monotonic())
        self.progress = verdict.progress
        return verdict

    def keeps_other(self, order: PointWrite, held: float | None) -> bool:
        """The point that was written shows the phases, and shows other ones."""
        is_command = self._switch is None or self._switch.state is not None
        return not is_command and held is not None and abs(held - order.value) > 1e-6

    @property
    def _switch(self) -> PhaseSwitch | None:
        control = self.outlet.registers.model.template.control
        return None if control is None else control.phases

    @property
    def _switches_alone(self) -> bool:
        return self._switch is not None and not self._switch.pauses

    def _seen(self, switch: PhaseSwitch) -> Seen:
        registers = self.outlet.registers
        is_shown = registers.model.points[switch.shown_by].is_readable
        return seen(switch, registers.values, is_shown=is_shown)
