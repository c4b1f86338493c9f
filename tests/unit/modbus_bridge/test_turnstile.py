import asyncio

from modbus_bridge.turnstile import Priority, Turnstile
from tests.conditions import eventually


class Queue:
    """Requests at a turnstile, in the order in which they got their turn."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.served: list[str] = []
        self.gate = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def join(self, name: str, priority: Priority, *, opens: bool = True) -> None:
        self.tasks.append(asyncio.create_task(self._pass(name, priority, opens=opens)))
        await asyncio.sleep(0)

    async def _pass(self, name: str, priority: Priority, *, opens: bool) -> None:
        async with self.turnstile.turn(priority):
            self.served.append(name)
            if not opens:
                await self.gate.wait()

    async def all_through(self) -> list[str]:
        self.gate.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.served


async def test_more_urgent_goes_first_and_equals_in_order() -> None:
    queue = Queue()
    await queue.join("first", Priority.SLOW, opens=False)
    await queue.join("slow", Priority.SLOW)
    await queue.join("fast 1", Priority.FAST)
    await queue.join("write", Priority.WRITE)
    await queue.join("fast 2", Priority.FAST)
    order = ["first", "write", "fast 1", "fast 2", "slow"]
    assert await queue.all_through() == order


async def test_slow_request_that_waited_long_goes_before_a_new_fast_one() -> None:
    now = [1000.0]
    queue = Queue()
    loop = asyncio.get_running_loop()
    real_time = loop.time
    await queue.join("first", Priority.SLOW, opens=False)
    await queue.join("slow", Priority.SLOW)
    now[0] = real_time() + 10
    loop.time = lambda: now[0]  # type: ignore[method-assign]
    try:
        await queue.join("fast", Priority.FAST)
    finally:
        loop.time = real_time  # type: ignore[method-assign]
    assert await queue.all_through() == ["first", "slow", "fast"]


async def test_one_that_gave_up_waiting_is_passed_over() -> None:
    queue = Queue()
    await queue.join("first", Priority.FAST, opens=False)
    await queue.join("gives up", Priority.FAST)
    await queue.join("last", Priority.SLOW)
    queue.tasks[1].cancel()
    assert await queue.all_through() == ["first", "last"]


async def test_turn_that_comes_together_with_a_cancellation_is_passed_on() -> None:
    queue = Queue()
    await queue.join("first", Priority.FAST, opens=False)
    await queue.join("cancelled", Priority.FAST)
    await queue.join("last", Priority.SLOW)
    queue.gate.set()
    await eventually(queue.tasks[0].done, every_s=0)
    queue.tasks[1].cancel()
    assert (await queue.all_through())[-1] == "last"
    async with asyncio.timeout(1), queue.turnstile.turn(Priority.FAST):
        pass


async def test_free_line_is_entered_at_once_again_and_again() -> None:
    turnstile = Turnstile()
    for _ in range(3):
        async with asyncio.timeout(1), turnstile.turn(Priority.SLOW):
            pass
