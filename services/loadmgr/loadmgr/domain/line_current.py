"""What a box says of its lines, as far as it can be true."""

from math import isfinite

from loadmgr.domain.evse_model import EvseModel
from loadmgr.domain.vehicle import DRAWING_A

IMPLAUSIBLE_TIMES = 3.0


def plausible(evse: EvseModel, line: int, amps: float | None) -> float | None:
    """Return a line current as far as it can be true; ``None`` = unknown.

    Noise around zero is zero, and so is a line that the box does not have and says nothing about.
    Energy does not flow back, and nothing carries several times what it is made for.
    """
    if amps is None:
        return None if evse.all_lines >> line & 1 else 0.0
    if not isfinite(amps) or amps < -DRAWING_A or amps > IMPLAUSIBLE_TIMES * evse.config.max_a:
        return None
    return max(amps, 0.0)
