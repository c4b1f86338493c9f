"""The contactors of a box that can charge on three phases or on its first one."""

from parkade.simulation.outlet import Outlet


class Contactor:
    """What connects three phases or one; it is not made to be switched under load."""

    def __init__(
        self, *, may_switch: bool = True, takes_s: float = 0.0, is_stuck: bool = False
    ) -> None:
        """``may_switch``: its owner allows it. ``takes_s``: with a car plugged in. ``is_stuck``: it
        stays as it is, whatever the register says."""
        self.may_switch = may_switch
        self.takes_s = takes_s
        self.is_stuck = is_stuck
        self.ordered: int | None = None
        """As last written; ``None`` = never."""
        self.switched_under_load = 0
        """How often current was flowing meanwhile."""
        self._left_s = 0.0

    @property
    def is_busy(self) -> bool:
        """It is changing: nothing is offered."""
        return self._left_s > 0

    def order(self, phases: int, outlet: Outlet) -> None:
        """Have it change; ``step`` brings that about."""
        self.ordered = phases
        if phases != outlet.live_phases:
            self._left_s = self.takes_s if outlet.car is not None else 0.0
            self._settle(outlet)

    def step(self, dt_s: float, outlet: Outlet) -> None:
        """Let time pass."""
        if self.is_busy:
            self._left_s = max(0.0, self._left_s - dt_s)
            self._settle(outlet)

    def _settle(self, outlet: Outlet) -> None:
        if self.is_busy or self.is_stuck or self.ordered is None:
            return
        self.switched_under_load += outlet.power_w > 0
        outlet.live_phases = self.ordered


class PhaseFirmware:
    """A box that changes its phases by itself when it is told so: it stops the car first."""

    def __init__(self, outlet: Outlet, *, takes_s: float = 0.0) -> None:
        self._outlet = outlet
        self._takes_s = takes_s
        self._stopped_at_s: float | None = None

    def connect(self, phases: int, now_s: float) -> bool:
        """Bring so many phases to the car; tells whether it may charge on them now."""
        outlet = self._outlet
        if phases == outlet.live_phases:
            self._stopped_at_s = None
            return True
        if outlet.power_w > 0:
            return False
        if self._stopped_at_s is None:
            self._stopped_at_s = now_s
        if now_s - self._stopped_at_s >= self._takes_s:
            outlet.live_phases, self._stopped_at_s = phases, None
        return outlet.live_phases == phases
