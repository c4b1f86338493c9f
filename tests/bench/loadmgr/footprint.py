"""Memory of a process that decides: ``python -m tests.bench.loadmgr.footprint EVSES``; JSON.

With 0 EVSEs it imports what such a process imports beside load management: numpy and contracts.
"""

import gc
import json
import os
import resource
import sys

import numpy as np

from shared.contracts import charging, evse, meter, site
from tests.bench.process import resident_kb

IMPORTED = (np, charging, evse, meter, site)
SECONDS = 5


def main(evses: int) -> None:
    """Decide a few times, and tell the resident memory and its highest mark in MB."""
    if evses:
        _hold(evses)
    else:
        _tell()


def _hold(evses: int) -> None:
    from loadmgr.domain.plan import decide
    from loadmgr.domain.site_model import compile_site
    from loadmgr.domain.state import State
    from tests.bench.loadmgr.garage import SteadyGarage

    garage = SteadyGarage(evses, share=0.45)
    gc.collect()
    _tell()  # the site and the simulated boxes are there, load management is not
    model = compile_site(garage.site)
    state = State()
    state.fit(model, garage.now.timestamp())
    for fact in garage.everybody():
        state.hear(model, fact, garage.now.timestamp())
    for _ in range(SECONDS):
        for fact in garage.next_second():
            state.hear(model, fact, garage.now.timestamp())
        garage.take(decide(model, state, garage.now).setpoints)
    _tell()


def _tell() -> None:
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {"resident_mb": resident_kb(os.getpid()) / 1024, "peak_mb": peak_kb / 1024}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
