"""What the client library raises when a connection breaks is trouble; our mistakes are not."""

import asyncio

import pytest
from aio_pika.exceptions import AMQPConnectionError

from shared.bus.rabbit_link import broker_trouble
from shared.errors import NotSafe


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Exception(), id="without a reason"),
        pytest.param(ConnectionResetError(), id="socket"),
        pytest.param(TimeoutError(), id="silence"),
        pytest.param(AMQPConnectionError(), id="library"),
        pytest.param(asyncio.CancelledError(), id="cancelled by the library"),
    ],
)
async def test_broken_connection_is_not_safe(error: BaseException) -> None:
    with pytest.raises(NotSafe), broker_trouble():
        raise error


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours")])
async def test_what_is_no_broken_connection_passes(error: Exception) -> None:
    with pytest.raises(type(error)), broker_trouble():
        raise error


async def test_cancellation_of_ours_stays_one() -> None:
    async def wait() -> None:
        with broker_trouble():
            await asyncio.sleep(60)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
