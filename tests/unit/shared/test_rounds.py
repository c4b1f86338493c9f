"""What is asked for while a round is under way goes together in the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.rounds import Rounds


class Worker:
    """Remembers its rounds; each waits until it may go on, or fails."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.failure: Exception | None = None

    async def work(self, items: Sequence[int]) -> None:
        self.rounds.append(list(items))
        await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def worker() -> Worker:
    """A worker that has not been let go on."""
    return Worker()


def ask_all(rounds: Rounds[int], items: Sequence[int]) -> list[asyncio.Task[None]]:
    """Ask for each by itself, in order."""
    return [asyncio.ensure_future(rounds.ask(item)) for item in items]


async def a_moment() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_first_does_not_wait_for_others(worker: Worker) -> None:
    asked = ask_all(Rounds(worker.work, most=10), [1])
    await a_moment()
    assert worker.rounds == [[1]]
    worker.may_go_on.set()
    await asyncio.gather(*asked)


async def test_what_is_asked_for_meanwhile_goes_together_in_order(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=10)
    asked = ask_all(rounds, [1])
    await a_moment()
    asked += ask_all(rounds, [2, 3, 4])
    await a_moment()
    assert worker.rounds == [[1]]
    worker.may_go_on.set()
    await asyncio.gather(*asked)
    assert worker.rounds == [[1], [2, 3, 4]]


async def test_nobody_returns_before_the_round_is_over(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=10)
    asked = ask_all(rounds, [1])
    await a_moment()
    asked += ask_all(rounds, [2, 3])
    await a_moment()
    assert not any(task.done() for task in asked)
    worker.may_go_on.set()
    await asyncio.wait_for(asyncio.gather(*asked), 1)


async def test_item_asked_for_again_while_it_is_worked_on_has_another_round(
    worker: Worker,
) -> None:
    rounds = Rounds(worker.work, most=10)
    asked = ask_all(rounds, [1])
    await a_moment()
    asked += ask_all(rounds, [1])
    worker.may_go_on.set()
    await asyncio.gather(*asked)
    assert worker.rounds == [[1], [1]]


async def test_round_holds_no_more_than_it_may(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=3)
    worker.may_go_on.set()
    await rounds.ask(*range(8))
    assert worker.rounds == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_many_who_ask_one_by_one_keep_their_order_over_full_rounds(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=3)
    asked = ask_all(rounds, range(8))
    await a_moment()
    worker.may_go_on.set()
    await asyncio.gather(*asked)
    assert [item for items in worker.rounds for item in items] == list(range(8))
    assert max(map(len, worker.rounds)) == 3


async def test_failure_is_everybodys_of_that_round_and_of_no_other(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=10)
    worker.may_go_on.set()
    first = ask_all(rounds, [1])
    await asyncio.gather(*first)
    worker.may_go_on.clear()
    asked = ask_all(rounds, [2])
    await a_moment()
    asked += ask_all(rounds, [3, 4])
    worker.failure = OSError("broken")
    worker.may_go_on.set()
    assert all(isinstance(e, OSError) for e in await asyncio.gather(*asked, return_exceptions=True))
    worker.failure = None
    await rounds.ask(5)
    assert worker.rounds[-1] == [5]


async def test_cancelled_follower_leaves_the_round_whole(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=10)
    asked = ask_all(rounds, [1])
    await a_moment()
    followers = ask_all(rounds, [2, 3])
    await a_moment()
    followers[1].cancel()
    worker.may_go_on.set()
    await asyncio.gather(*asked, followers[0])
    assert worker.rounds == [[1], [2, 3]]


async def test_leader_cancelled_before_its_turn_ends_its_round_and_no_other(
    worker: Worker,
) -> None:
    rounds = Rounds(worker.work, most=10)
    asked = ask_all(rounds, [1])
    await a_moment()
    leader, follower = ask_all(rounds, [2, 3])
    await a_moment()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower
    asked += ask_all(rounds, [4])
    worker.may_go_on.set()
    await asyncio.gather(*asked)
    assert worker.rounds == [[1], [4]]


async def test_no_round_begins_while_they_are_held(worker: Worker) -> None:
    rounds = Rounds(worker.work, most=10)
    worker.may_go_on.set()
    async with rounds.held():
        asked = ask_all(rounds, [1, 2])
        await a_moment()
        assert worker.rounds == []
    await asyncio.gather(*asked)
    assert worker.rounds == [[1, 2]]


async def test_nothing_asked_for_is_no_round(worker: Worker) -> None:
    await Rounds(worker.work, most=10).ask()
    assert worker.rounds == []
