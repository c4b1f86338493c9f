"""What waits to be answered is bounded for each connection."""

import json

from ocpp_server.conversation import INBOX_CHARACTERS, INBOX_LIMIT
from tests.conditions import eventually
from tests.ocpp_core import Core, FakeStation


def waiting(core: Core) -> FakeStation:
    """Return a station that is not served yet, so that its calls wait."""
    station = FakeStation("CP1")
    station.receiver = core.registry.opened(station)
    return station


def call(number: int, length: int) -> str:
    data = {"vendorId": "v", "data": "x" * length}
    return json.dumps([2, str(number), "DataTransfer", data])


async def test_long_calls_that_pile_up_end_the_connection(core: Core) -> None:
    station = waiting(core)
    for number in range(4):
        station.say(call(number, INBOX_CHARACTERS // 3))
    assert station.closed == (1008, "too many calls without waiting for answers")


async def test_one_call_may_be_as_long_as_a_frame(core: Core) -> None:
    station = waiting(core)
    station.say(call(1, INBOX_CHARACTERS + 1))
    assert station.closed is None
    assert len(await eventually(station.frames)) == 1, "it is answered"


async def test_many_short_calls_end_the_connection(core: Core) -> None:
    station = waiting(core)
    for number in range(INBOX_LIMIT):
        station.say(call(number, 1))
    assert station.closed is None
    station.say(call(INBOX_LIMIT, 1))
    assert station.closed is not None
