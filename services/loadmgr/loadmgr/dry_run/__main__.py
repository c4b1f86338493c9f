"""``python -m loadmgr.dry_run``: one question on standard input, one answer on standard output.

A process of its own, nicer than the one that decides and the first to go when memory runs out.
"""

import contextlib
import os
import sys
from pathlib import Path

from loadmgr.dry_run.question import Answer, Question, answer
from shared.errors import ConfigError

NICENESS = 10
OOM_SCORE = "1000"


def main() -> None:
    """Answer what is asked."""
    _step_back()
    question = Question.model_validate_json(sys.stdin.buffer.read())
    try:
        told = Answer(reports=answer(question))
    except ConfigError as error:
        told = Answer(refused=str(error))
    sys.stdout.write(told.model_dump_json())


def _step_back() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)


if __name__ == "__main__":
    main()
