"""How long a decision takes: ``python -m tests.bench.loadmgr.speed EVSES SHARE``; prints JSON.

A process of its own, so that no other garage is in its memory. Between two decisions a second of
facts is heard, and the boxes take the setpoints.
"""

import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from statistics import median
from typing import Any

from loadmgr.domain.plan import decide
from loadmgr.domain.site_model import SiteModel, compile_site
from loadmgr.domain.state import State
from shared.runtime import tune_process
from tests.bench.loadmgr.garage import SteadyGarage
from tests.bench.loadmgr.rivals import linear_program, problem_of, round_robin

WARM_UP_S = 90
"""Until cars are known, raises are over, and the boxes have confirmed what they were told."""
DECISIONS = {100: 400, 1_000: 200, 10_000: 60}


class Stopwatch:
    """Times of several things."""

    def __init__(self) -> None:
        self.times_s: defaultdict[str, list[float]] = defaultdict(list)

    def time(self, what: str, work: Any) -> Any:
        """Do something, and note how long it took."""
        begin = time.perf_counter()
        done = work()
        self.times_s[what].append(time.perf_counter() - begin)
        return done

    def median_ms(self, what: str) -> float:
        """The middle of one column."""
        return median(self.times_s[what]) * 1000

    def quantile_ms(self, what: str, part: float) -> float:
        """What this part of one column does not exceed."""
        ordered = sorted(self.times_s[what])
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)] * 1000


def measure(evses: int, share: float) -> dict[str, Any]:
    """Bring a garage to a steady state, and time what is decided and heard from then on."""
    garage = SteadyGarage(evses, share=share)
    watch = Stopwatch()
    model = watch.time("compile", lambda: compile_site(garage.site))
    state = State()
    state.fit(model, garage.now.timestamp())
    for fact in garage.everybody():
        state.hear(model, fact, garage.now.timestamp())
    for _ in range(WARM_UP_S):
        _second(garage, model, state, Stopwatch())
    changed = [_second(garage, model, state, watch) for _ in range(DECISIONS.get(evses, 100))]
    problem = problem_of(garage)
    given = sum(box.drawn_a * box.car.phases for box in garage.boxes)
    heard = {name: times for name, times in watch.times_s.items() if name not in NOT_HEARD}
    facts = sum(len(times) for times in heard.values())
    return {
        "evses": evses,
        "share": share,
        "median_ms": watch.median_ms("decide"),
        "p95_ms": watch.quantile_ms("decide", 0.95),
        "prepared_ms": watch.median_ms("prepare"),
        "told_ms": watch.median_ms("tell"),
        "compile_ms": watch.median_ms("compile"),
        "setpoints": sum(changed) / len(changed),
        "facts": facts / len(changed),
        "heard_us": sum(map(sum, heard.values())) / facts * 1e6,
        "heard_by_kind_us": {
            name: sum(times) / len(times) * 1e6 for name, times in sorted(heard.items())
        },
        "phase_amps": given,
        "linear_program": asdict(linear_program(problem)),
        "round_robin": asdict(round_robin(problem)),
    }


NOT_HEARD = ("compile", "prepare", "decide", "tell")


def _second(garage: SteadyGarage, model: SiteModel, state: State, watch: Stopwatch) -> int:
    """One second of traffic and the decision at its end; return how many setpoints it made."""
    facts = garage.next_second()
    now = garage.now
    for fact in facts:
        watch.time(
            type(fact).__name__,
            lambda fact=fact: state.hear(model, fact, now.timestamp()),
        )
    watch.time("prepare", lambda: state.prepare(now.timestamp()))
    decision = watch.time("decide", lambda: decide(model, state, now))
    watch.time("tell", lambda: decision.decided)
    garage.take(decision.setpoints)
    return len(decision.setpoints)


if __name__ == "__main__":
    tune_process()
    print(json.dumps(measure(int(sys.argv[1]), float(sys.argv[2]))), flush=True)
