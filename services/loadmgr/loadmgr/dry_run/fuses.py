"""What truly flows through the fuses of a virtual garage: peaks, overloads, for how long."""

import numpy as np

from loadmgr.domain.arrays import NOTHING, Bools, Floats, Three
from loadmgr.domain.site_model import SiteModel
from loadmgr.dry_run.base_load import LoadStep
from shared.units import NOMINAL_VOLTAGE_V, PHASES

NOISE_A = 1e-6
"""Sums of currents are not exact."""
FAR = 1.1
"""Above this many times its limit a fuse is far above it."""


class Fuses:
    """All circuits of a site, in the order of the model. Currents are constant between changes."""

    def __init__(self, model: SiteModel) -> None:
        """Begin with nothing flowing."""
        count = len(model.circuits)
        self._is_below = _is_below(model)
        self._evses = _loads(model)
        self._drawn_a = np.zeros((len(model.evses), 3))
        self._shown = [NOTHING] * len(model.evses)
        self._own_a = np.zeros((count, 3))
        self._flows_a: Floats | None = None
        self.limit_a = np.array([[c.limit_a.on(p) for p in PHASES] for c in model.circuits])
        self.limit_a = self.limit_a.reshape(count, 3)
        limits_w = [np.inf if c.limit_w is None else c.limit_w for c in model.circuits]
        self.limit_w = np.array(limits_w, dtype=float)
        self.peak_a = np.zeros((count, 3))
        self.overload_s = np.zeros(count)
        self.far_s = np.zeros(count)
        self.longest_s = np.zeros(count)
        self.worst_share = np.zeros(count)
        """How far above its limit the fullest phase was: 0.1 = 10 %."""
        self._run_s = np.zeros(count)

    @property
    def flows_a(self) -> Floats:
        """What flows now through each circuit, by phase."""
        if self._flows_a is None:
            self._flows_a = self._is_below @ self._own_a + self._evses @ self._drawn_a
        return self._flows_a

    def draw(self, evse: int, grid_a: Three) -> None:
        """Note what an EVSE draws from now on."""
        if self._shown[evse] != grid_a:
            self._shown[evse] = grid_a
            self._drawn_a[evse] = grid_a
            self._flows_a = None

    def load(self, circuit: int, step: LoadStep) -> None:
        """Note what flows at a circuit itself from now on."""
        self._own_a[circuit] = np.subtract(step.drawn_a, step.fed_a)
        self._flows_a = None

    def elapse(self, seconds: float) -> None:
        """Let time pass."""
        if seconds <= 0:
            return
        flows_a = self.flows_a
        np.maximum(self.peak_a, flows_a, out=self.peak_a)
        over = self._over(flows_a, 1.0)
        if not over.any():
            self._run_s[:] = 0.0
            return
        self.overload_s += seconds * over
        self.far_s += seconds * self._over(flows_a, FAR)
        self._run_s = np.where(over, self._run_s + seconds, 0.0)
        self.longest_s = np.maximum(self.longest_s, self._run_s)
        shares = (flows_a / np.maximum(self.limit_a, NOISE_A) - 1.0).max(axis=1)
        self.worst_share = np.maximum(self.worst_share, np.where(over, shares, 0.0))

    def _over(self, flows_a: Floats, times: float) -> Bools:
        is_over_a = (flows_a > times * self.limit_a + NOISE_A).any(axis=1)
        is_over_w = NOMINAL_VOLTAGE_V * (flows_a.sum(axis=1) - 3 * NOISE_A) > times * self.limit_w
        return np.asarray(is_over_a | is_over_w, dtype=np.bool_)


def _loads(model: SiteModel) -> Floats:
    """Return 1.0 where the EVSE of a column hangs below the circuit of a row."""
    loads = np.zeros((len(model.circuits), len(model.evses)))
    for row, below in zip(loads, model.below, strict=True):
        row[[evse.index for evse in below]] = 1.0
    return loads


def _is_below(model: SiteModel) -> Floats:
    """Return 1.0 where the circuit of a column hangs below that of a row, or is the same."""
    is_below = np.eye(len(model.circuits))
    for index, parent in enumerate(model.parents):  # parents come first
        if parent >= 0:
            is_below[:, index] += is_below[:, parent]
    return is_below
