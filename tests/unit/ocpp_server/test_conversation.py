"""The RPC with one station, without OCPP: order, one call at a time, repetitions, ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ocpp_server.answers import Answer, Fault, Later
from ocpp_server.conversation import INBOX_LIMIT, Conversation
from ocpp_server.domain.frames import Call
from ocpp_server.message_log import MessageLog
from ocpp_server.meter_recorder import Batch
from shared.bus.memory import MemoryBus
from shared.clock import FakeClock
from shared.contracts.ocpp import CallResult, LogRow, MessagesLogged
from shared.errors import StoreUnavailable
from tests.conditions import eventually
from tests.ocpp_core import FakeStation


class Handler:
    """Answers with a count; waits with those actions that are in ``slow``."""

    def __init__(self) -> None:
        self.slow: set[str] = {"Slow"}
        self.gate = asyncio.Event()
        self.batch = Batch()
        self.handled: list[str] = []
        self.conversation: Conversation | None = None

    def answer_now(self, call: Call) -> Answer | Later | None:
        if call.action == "Kept":
            return Later(self._count(call), self.batch)
        if call.action in self.slow:
            return None
        if call.action == "Broken":
            raise RuntimeError("a secret: " + call.text)
        return self._count(call)

    async def answer(self, call: Call) -> Answer:
        if call.payload.get("calls"):
            assert self.conversation is not None
            reply = await self.conversation.call("Reset", "{}", timeout_s=5)
            return {"status": reply.status}
        if call.payload.get("store"):
            raise StoreUnavailable("a secret")
        await self.gate.wait()
        return self._count(call)

    def _count(self, call: Call) -> Answer:
        self.handled.append(call.action)
        return {"count": len(self.handled)}


class Talk:
    """A conversation with a fake station."""

    def __init__(self) -> None:
        self.station = FakeStation("CP1")
        self.handler = Handler()
        self.clock = FakeClock()
        self.ends = 0
        self.hub = MemoryBus(self.clock)
        self.log = MessageLog(
            self.hub.join("ocpp-server"), clock=self.clock, shows_id_tags=lambda: False
        )
        self.conversation = Conversation(
            self.station, self.handler, clock=self.clock, log=self.log, on_closed=self._ended
        )
        self.handler.conversation = self.conversation
        self.station.receiver = self.conversation

    def _ended(self) -> None:
        self.ends += 1

    def say(self, message_id: Any, action: str, **payload: Any) -> None:
        self.station.say(json.dumps([2, message_id, action, payload]))

    async def logged(self) -> list[LogRow]:
        """Return what the log tells of everything that was said so far."""
        rows: list[LogRow] = []

        async def hear(delivery: Any) -> None:
            rows.extend(delivery.message.rows)

        subscription = await self.hub.join("api").listen([MessagesLogged], hear)
        await self.log.flush()
        await eventually(lambda: rows, claim="something is logged")
        await subscription.close()
        return rows

    async def answers(self, number: int) -> list[Any]:
        await eventually(lambda: len(self.station.sent) >= number)
        return self.station.frames()


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    found = Talk()
    running = asyncio.create_task(found.conversation.run())
    await asyncio.sleep(0)
    yield found
    found.handler.gate.set()
    found.station.close()
    await running


async def test_what_needs_no_waiting_is_answered_at_once(talk: Talk) -> None:
    talk.say("1", "Fast")
    assert talk.station.frames() == [[3, "1", {"count": 1}]]


async def test_nothing_is_answered_before_the_station_is_served() -> None:
    talk = Talk()
    talk.say("1", "Fast")
    assert talk.station.sent == []
    running = asyncio.create_task(talk.conversation.run())
    assert await talk.answers(1) == [[3, "1", {"count": 1}]]
    talk.station.close()
    await running


async def test_a_slow_call_is_not_overtaken(talk: Talk) -> None:
    talk.say("1", "Slow")
    talk.say("2", "Fast")
    await asyncio.sleep(0)
    assert talk.station.sent == []
    talk.handler.gate.set()
    assert await talk.answers(2) == [[3, "1", {"count": 1}], [3, "2", {"count": 2}]]


async def test_a_call_inside_a_handler_does_not_deadlock(talk: Talk) -> None:
    talk.say("1", "Slow", calls=True)
    frames = await talk.answers(2)
    assert frames[1] == [3, "1", {"status": "Accepted"}]


async def test_a_failing_handler_is_an_internal_error_without_details(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    talk.say("1", "Broken")
    talk.say("2", "Slow", store=True)
    frames = await talk.answers(2)
    assert [frame[:3] for frame in frames] == [
        [4, "1", "InternalError"],
        [4, "2", "InternalError"],
    ]
    assert "secret" not in "".join(talk.station.sent)
    talk.say("3", "Fast")
    assert (await talk.answers(3))[2] == [3, "3", {"count": 1}]


async def test_a_frame_that_cannot_be_parsed_is_answered_when_it_has_an_id(talk: Talk) -> None:
    talk.station.say('[2,"9","Fast",{"a":')
    talk.station.say("hello")
    assert [frame[:3] for frame in talk.station.frames()] == [[4, "9", "FormationViolation"]]


async def test_our_calls_go_out_one_at_a_time(talk: Talk) -> None:
    talk.station.answers["Reset"] = None
    calls = [
        asyncio.create_task(talk.conversation.call("Reset", "{}", timeout_s=5)) for _ in range(2)
    ]
    (first,) = await talk.answers(1)
    talk.station.say(json.dumps([3, first[1], {"status": "Accepted"}]))
    _, second = await talk.answers(2)
    talk.station.say(json.dumps([4, second[1], "NotSupported", "no", {}]))
    replies = await asyncio.gather(*calls)
    assert [reply.outcome for reply in replies] == [CallResult.ANSWERED, CallResult.ERROR]
    assert (replies[1].error_code, replies[1].error_description) == ("NotSupported", "no")


async def test_an_answer_is_passed_on_byte_for_byte(talk: Talk) -> None:
    talk.station.answers["Reset"] = '{ "status":"Accepted" , "x": 1.50 }'
    reply = await talk.conversation.call("Reset", "{}", timeout_s=5)
    assert reply.payload_text == '{ "status":"Accepted" , "x": 1.50 }'


async def test_our_payload_goes_out_byte_for_byte(talk: Talk) -> None:
    await talk.conversation.call("DataTransfer", '{ "vendorId":"\\u00e4" }', timeout_s=5)
    assert talk.station.sent[0].endswith('"DataTransfer",{ "vendorId":"\\u00e4" }]')


async def test_silence_of_the_station_is_a_timeout_and_a_late_answer_is_dropped(talk: Talk) -> None:
    talk.station.answers["Reset"] = None
    assert (await talk.conversation.call("Reset", "{}", timeout_s=0.01)).outcome is (
        CallResult.TIMEOUT
    )
    talk.station.say(json.dumps([3, talk.station.frames()[0][1], {"status": "Late"}]))
    talk.station.answers["Reset"] = {"status": "Accepted"}
    assert (await talk.conversation.call("Reset", "{}", timeout_s=5)).status == "Accepted"


async def test_foreign_and_duplicate_answers_are_dropped(talk: Talk) -> None:
    talk.station.say('[3,"nobody",{}]')
    talk.station.answers["Reset"] = None
    waiting = asyncio.create_task(talk.conversation.call("Reset", "{}", timeout_s=5))
    (frame,) = await talk.answers(1)
    talk.station.say('[3,"other",{}]')
    for status in ("First", "Second"):
        talk.station.say(json.dumps([3, frame[1], {"status": status}]))
    assert (await waiting).status == "First"


async def test_the_end_of_the_link_ends_what_waits(talk: Talk) -> None:
    talk.station.answers["Reset"] = None
    waiting = [
        asyncio.create_task(talk.conversation.call("Reset", "{}", timeout_s=5)) for _ in range(3)
    ]
    await talk.answers(1)
    talk.station.close()
    replies = await asyncio.gather(*waiting)
    assert {reply.outcome for reply in replies} == {CallResult.OFFLINE}
    assert talk.ends == 1


async def test_the_same_call_again_gets_the_same_answer(talk: Talk) -> None:
    for _ in range(2):
        talk.say("1", "StartTransaction", tag="A")
    assert talk.station.frames() == [[3, "1", {"count": 1}]] * 2


async def test_the_same_id_with_another_payload_is_another_call(talk: Talk) -> None:
    talk.say("1", "StartTransaction", tag="A")
    talk.say("1", "StartTransaction", tag="B")
    assert talk.station.frames()[1] == [3, "1", {"count": 2}]


async def test_a_repetition_of_a_call_in_progress_is_not_processed_twice(talk: Talk) -> None:
    talk.handler.slow.add("StartTransaction")
    for _ in range(2):
        talk.say("1", "StartTransaction")
    talk.handler.gate.set()
    assert await talk.answers(2) == [[3, "1", {"count": 1}]] * 2


async def test_an_id_that_never_changes_gets_new_answers_to_heartbeats(talk: Talk) -> None:
    for _ in range(2):
        talk.say("1", "Heartbeat")
    assert talk.station.frames()[1] == [3, "1", {"count": 2}]


async def test_an_old_answer_is_not_repeated(talk: Talk) -> None:
    talk.say("1", "Authorize")
    talk.clock.advance(301)
    talk.say("1", "Authorize")
    assert talk.station.frames()[1] == [3, "1", {"count": 2}]


async def test_an_empty_answer_is_repeated_too(talk: Talk) -> None:
    talk.handler._count = lambda call: talk.handler.handled.append(call.action) or {}  # type: ignore[method-assign, func-returns-value]
    for _ in range(2):
        talk.say("1", "MeterValues")
    assert talk.station.frames() == [[3, "1", {}]] * 2
    assert len(talk.handler.handled) == 1


async def test_an_error_is_not_remembered(talk: Talk) -> None:
    talk.handler.slow.add("Authorize")
    talk.say("1", "Authorize", store=True)
    await talk.answers(1)
    talk.handler.slow.clear()
    talk.say("1", "Authorize", store=True)
    assert (await talk.answers(2))[1] == [3, "1", {"count": 1}]


async def test_a_station_that_does_not_wait_for_answers_is_cut_off(talk: Talk) -> None:
    talk.say("0", "Slow")
    for number in range(INBOX_LIMIT):
        talk.say(str(number), "Fast")
    assert talk.station.closed == (1008, "too many calls without waiting for answers")


async def test_every_frame_is_a_sign_of_life(talk: Talk) -> None:
    talk.clock.advance(100)
    talk.station.say("hello")
    assert talk.conversation.heard_at == talk.clock.monotonic()


async def test_a_fault_of_a_handler_is_a_callerror(talk: Talk) -> None:
    talk.handler._count = lambda call: Fault("SecurityError", "no")  # type: ignore[method-assign]
    talk.say("1", "Fast")
    assert talk.station.frames() == [[4, "1", "SecurityError", "no", {}]]


async def test_an_answer_waits_until_what_it_answers_to_is_safe(talk: Talk) -> None:
    talk.say("1", "Kept")
    talk.say("2", "Fast")
    await asyncio.sleep(0)
    assert talk.station.sent == []
    talk.handler.batch.settle(kept=True)
    assert [answer[:2] for answer in await talk.answers(2)] == [[3, "1"], [3, "2"]]


async def test_what_cannot_be_kept_is_not_acknowledged(talk: Talk) -> None:
    talk.say("1", "Kept")
    talk.handler.batch.settle(kept=False)
    (answer,) = await talk.answers(1)
    assert answer[:3] == [4, "1", "InternalError"]


async def test_every_frame_is_logged_with_its_action_and_latency(talk: Talk) -> None:
    talk.say("1", "Kept")
    talk.clock.advance(0.25)
    talk.handler.batch.settle(kept=True)
    calling = asyncio.create_task(talk.conversation.call("Reset", "{}", timeout_s=5))
    await calling
    talk.station.say("nonsense")
    rows = await talk.logged()
    told = [(row.inbound, row.kind, row.action, row.latency_ms) for row in rows]
    assert told == [
        (True, 2, "Kept", None),
        (False, 3, "Kept", 250.0),
        (False, 2, "Reset", None),
        (True, 3, "Reset", 0.0),
        (True, 0, "", None),
    ]
    assert rows[0].text == '[2, "1", "Kept", {}]'
    assert rows[0].at == talk.clock.now().timestamp() - 0.25


async def test_id_tags_are_pseudonyms_in_the_log(talk: Talk) -> None:
    talk.say("1", "Fast", idTag="04A2B3", note="04A2B3")
    call, _ = await talk.logged()
    assert '"idTag": "tag-' in call.text
    assert '"note": "04A2B3"' in call.text
