"""The link against a peer that misbehaves on the wire as devices in the field do."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import pytest

from modbus_bridge.domain.access import LineSettings, Pace
from modbus_bridge.link import Lines, Unit, silence_pymodbus
from modbus_bridge.turnstile import Priority
from shared.clock import FakeClock
from shared.errors import ConfigError, DeviceUnreachable, Refused
from tests.conditions import eventually

Answer = bytes | None
Script = Callable[[int, bytes], Answer]
"""(unit, pdu of the request) -> pdu of the answer; None = silence."""


def registers(*words: int) -> bytes:
    return struct.pack(f">BB{len(words)}H", 3, 2 * len(words), *words)


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


class Peer:
    """A device that answers as its script says, over Modbus TCP or RTU over TCP."""

    def __init__(self, script: Script, framing: Literal["tcp", "rtu"] = "tcp") -> None:
        self.script = script
        self.framing = framing
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0
        self.open = 0
        self.delay_s = 0.0
        self.closes_on_request = False
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.framing == "tcp":
            head = await reader.readexactly(7)
            tid, _, length, unit = struct.unpack(">HHHB", head)
            pdu = await reader.readexactly(length - 1)
        else:
            tid = 0
            frame = await reader.readexactly(8)
            unit, pdu = frame[0], frame[1:-2]
        self.requests.append((unit, pdu))
        answer = self.script(unit, pdu)
        if self.closes_on_request:
            raise ConnectionError
        await asyncio.sleep(self.delay_s)
        if answer is None:
            return
        if self.framing == "tcp":
            writer.write(struct.pack(">HHHB", tid, 0, len(answer) + 1, unit) + answer)
        else:
            writer.write(bytes([unit]) + answer + crc(bytes([unit]) + answer))
        await writer.drain()


class Bench:
    """A peer, and units on a line to it."""

    def __init__(self) -> None:
        silence_pymodbus()
        self.clock = FakeClock()
        self.lines = Lines(self.clock)
        self.peer = Peer(lambda _unit, _pdu: registers(7))
        self._units: list[Unit] = []
        self.port = 0

    async def unit(self, number: int = 1, *, timeout_s: float = 0.2, gap_s: float = 0.0) -> Unit:
        if not self.port:
            self.port = await self.peer.start()
        settings = LineSettings(host="127.0.0.1", port=self.port, framing=self.peer.framing)
        unit = self.lines.attach(settings, number, Pace(timeout_s=timeout_s, gap_s=gap_s))
        self._units.append(unit)
        return unit

    async def close(self) -> None:
        for unit in self._units:
            self.lines.detach(unit)
        await self.peer.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    built = Bench()
    yield built
    await built.close()


async def read(unit: Unit, address: int = 0, count: int = 1) -> tuple[int, ...]:
    return await unit.read(3, address, count=count, priority=Priority.FAST)


async def test_registers_are_read_and_written(bench: Bench) -> None:
    unit = await bench.unit(5)
    assert await read(unit, 100) == (7,)
    await read(unit, 100)
    bench.peer.script = lambda _unit, pdu: pdu[:5]
    await unit.write(6, 300, (42,))
    await unit.write(16, 400, (1, 2))
    assert bench.peer.requests == [
        (5, b"\x03\x00\x64\x00\x01"),
        (5, b"\x03\x00\x64\x00\x01"),
        (5, b"\x06\x01\x2c\x00\x2a"),
        (5, b"\x10\x01\x90\x00\x02\x04\x00\x01\x00\x02"),
    ]
    assert bench.peer.connections == 1


async def test_input_registers_are_read_by_function_4(bench: Bench) -> None:
    unit = await bench.unit()
    bench.peer.script = lambda _unit, _pdu: b"\x04" + registers(9)[1:]
    assert await unit.read(4, 0, count=1, priority=Priority.SLOW) == (9,)
    assert bench.peer.requests[0][1][0] == 4


async def test_answer_with_too_few_registers_is_no_answer(bench: Bench) -> None:
    unit = await bench.unit()
    bench.peer.script = lambda _unit, _pdu: registers(1, 2)
    with pytest.raises(DeviceUnreachable, match="asked for 6 registers, got 2"):
        await read(unit, count=6)


@pytest.mark.parametrize("code", [1, 2, 3])
async def test_permanent_exceptions_are_refusals(bench: Bench, code: int) -> None:
    unit = await bench.unit()
    bench.peer.script = lambda _unit, _pdu: bytes([0x83, code])
    with pytest.raises(Refused, match=f"exception {code}"):
        await read(unit)


@pytest.mark.parametrize("code", [4, 5, 6, 10, 11])
async def test_passing_exceptions_may_be_tried_again(bench: Bench, code: int) -> None:
    unit = await bench.unit()
    bench.peer.script = lambda _unit, _pdu: bytes([0x83, code])
    with pytest.raises(DeviceUnreachable, match=f"exception {code}"):
        await read(unit)
    bench.peer.script = lambda _unit, _pdu: registers(7)
    assert await read(unit) == (7,)


async def test_silence_ends_after_the_time_limit_of_the_device(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=0.05)
    bench.peer.script = lambda _unit, _pdu: None
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DeviceUnreachable, match=r"did not answer within 0\.05 s"):
        await read(unit)
    assert loop.time() - began < 1.0


async def test_tcp_connection_is_made_anew_after_two_silences(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=0.05)
    bench.peer.script = lambda _unit, _pdu: None
    for _ in range(2):
        with pytest.raises(DeviceUnreachable):
            await read(unit)
    bench.peer.script = lambda _unit, _pdu: registers(7)
    assert await read(unit) == (7,)
    assert bench.peer.connections == 2
    await eventually(lambda: bench.peer.open == 1, claim="never two connections at once")


async def test_late_answer_is_not_taken_for_the_next_one_over_tcp(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=0.1)
    bench.peer.script = lambda _unit, pdu: registers(struct.unpack(">H", pdu[1:3])[0])
    bench.peer.delay_s = 0.15
    with pytest.raises(DeviceUnreachable):
        await read(unit, 111)
    bench.peer.delay_s = 0.0
    assert await read(unit, 222) == (222,)


async def test_late_answer_is_not_taken_for_the_next_one_over_rtu(bench: Bench) -> None:
    bench.peer.framing = "rtu"
    unit = await bench.unit(timeout_s=0.1)
    bench.peer.script = lambda _unit, pdu: registers(struct.unpack(">H", pdu[1:3])[0])
    bench.peer.delay_s = 0.15
    with pytest.raises(DeviceUnreachable):
        await read(unit, 111)
    bench.peer.delay_s = 0.0
    assert await read(unit, 222) == (222,)
    assert bench.peer.connections == 2


async def test_cancelled_rtu_request_does_not_leave_its_answer_behind(bench: Bench) -> None:
    bench.peer.framing = "rtu"
    unit = await bench.unit(timeout_s=1.0)
    bench.peer.script = lambda _unit, pdu: registers(struct.unpack(">H", pdu[1:3])[0])
    bench.peer.delay_s = 0.1
    task = asyncio.create_task(read(unit, 111))
    await eventually(lambda: bench.peer.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await read(unit, 222) == (222,)


async def test_cancellation_that_pymodbus_loses_is_heeded(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=5.0)
    await read(unit)
    started = asyncio.Event()

    async def deaf_request(_: Any) -> Any:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)

    ask = unit.line.ask(deaf_request, priority=Priority.FAST, pace=Pace(timeout_s=5.0))
    task = asyncio.create_task(ask)
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_peer_that_closes_ends_the_waiting_request_at_once(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=5.0)
    assert await read(unit) == (7,)
    bench.peer.closes_on_request = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(DeviceUnreachable, match="closed the connection"):
        await read(unit)
    assert loop.time() - began < 1.0
    bench.peer.closes_on_request = False
    assert await read(unit) == (7,)


async def test_failed_connect_is_retried_only_after_a_growing_pause(bench: Bench) -> None:
    unit = await bench.unit()
    await bench.peer.stop()
    with pytest.raises(DeviceUnreachable, match="no connection"):
        await read(unit)
    with pytest.raises(DeviceUnreachable, match="next attempt"):
        await read(unit)
    bench.clock.advance(1.3)
    with pytest.raises(DeviceUnreachable, match="no connection"):
        await read(unit)
    bench.clock.advance(1.3)
    with pytest.raises(DeviceUnreachable, match="next attempt"):
        await read(unit)
    await bench.peer.start(bench.port)
    bench.clock.advance(1.3)
    assert await read(unit) == (7,)


async def test_pause_between_attempts_stays_below_36_seconds(bench: Bench) -> None:
    unit = await bench.unit()
    await bench.peer.stop()
    for _ in range(8):
        bench.clock.advance(36.1)
        with pytest.raises(DeviceUnreachable, match="no connection"):
            await read(unit)
    await bench.peer.start(bench.port)


async def test_peer_that_hangs_up_on_everybody_is_not_pestered(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=5.0)
    bench.peer.closes_on_request = True
    with pytest.raises(DeviceUnreachable):
        await read(unit)
    with pytest.raises(DeviceUnreachable, match="next attempt"):
        await read(unit)
    assert bench.peer.connections == 1


async def test_units_of_one_line_share_one_connection(bench: Bench) -> None:
    one, two = await bench.unit(1), await bench.unit(2)
    await asyncio.gather(read(one), read(two))
    assert {unit for unit, _ in bench.peer.requests} == {1, 2}
    assert bench.peer.connections == 1
    assert one.line.is_shared


async def test_write_overtakes_reads_that_wait(bench: Bench) -> None:
    unit = await bench.unit(timeout_s=1.0)
    bench.peer.script = lambda _unit, pdu: pdu if pdu[0] == 6 else registers(7)
    bench.peer.delay_s = 0.02
    reads = [asyncio.create_task(read(unit, n)) for n in range(3)]
    await eventually(lambda: bench.peer.requests)
    await unit.write(6, 99, (1,))
    await asyncio.gather(*reads)
    assert [pdu[0] for _, pdu in bench.peer.requests] == [3, 6, 3, 3]


async def test_silence_is_kept_between_answer_and_next_request(bench: Bench) -> None:
    unit = await bench.unit(gap_s=0.1)
    loop = asyncio.get_running_loop()
    await read(unit)
    began = loop.time()
    await read(unit)
    assert loop.time() - began >= 0.09


async def test_line_closes_with_its_last_unit(bench: Bench) -> None:
    await bench.unit(1)
    settings = LineSettings(host="127.0.0.1", port=bench.port)
    extra = bench.lines.attach(settings, 2, Pace())
    await read(extra)
    bench.lines.detach(extra)
    assert bench.peer.open == 1
    await read(await bench.unit(3))
    assert bench.peer.connections == 1


async def test_one_line_cannot_have_two_settings(bench: Bench) -> None:
    await bench.unit(1)
    with pytest.raises(ConfigError, match="used by another device"):
        bench.lines.attach(
            LineSettings(host="127.0.0.1", port=bench.port, framing="rtu"), 2, Pace()
        )
