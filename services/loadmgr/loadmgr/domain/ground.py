"""What there is to share at one moment."""

from dataclasses import dataclass

from loadmgr.domain.arrays import Bools, Floats
from loadmgr.domain.limits import Limits


@dataclass(frozen=True, eq=False, kw_only=True)
class Ground:
    """Limits, and what of them is left for EVSEs that can be steered."""

    limits: Limits
    beside_a: Floats
    """What flows at the circuits beside the EVSEs, three phases each."""
    is_lost: Bools
    """Phases of circuits that count the worst case of a lost meter."""
    guard: Floats
    """What each row keeps free of its fuse."""
    room: Floats
    """What each row certainly has for those who can be steered: raises come out of it."""
    fair_room: Floats
    """What it has if nobody disobeys who was not seen to: shares are made of it."""
