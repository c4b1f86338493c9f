"""Serving: a taken port in clear words, and health that tells the truth."""

import asyncio
from functools import partial

import pytest

from shared.errors import ConfigError
from shared.health import Health, health_app
from shared.http import listening_socket, serve_http
from tests.conditions import eventually


def test_a_taken_port_names_the_setting_to_change() -> None:
    with listening_socket("127.0.0.1", 0, setting="X") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} is already in use.*PARKADE_HTTP_PORT"):
            listening_socket("127.0.0.1", port, setting="PARKADE_HTTP_PORT")


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="not an address of this machine"):
        listening_socket("192.0.2.1", 0, setting="PARKADE_HTTP_HOST")


async def test_a_stopped_server_leaves_its_port_free_for_the_next_one() -> None:
    port = 0
    for _ in range(2):
        listener = listening_socket("127.0.0.1", port, setting="PARKADE_HTTP_PORT")
        port = listener.getsockname()[1]
        serving = asyncio.create_task(serve_http(health_app(Health()), listener))
        answer = await eventually(partial(_status_line, port))
        assert answer.startswith(b"HTTP/1.1 503")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _status_line(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


def test_nothing_reported_is_not_ready() -> None:
    assert not Health().is_ready


def test_one_sick_part_makes_the_process_unready_and_is_named() -> None:
    health, neighbour = Health(), Health()
    health.report("database", ok=True)
    health.include("loadmgr", neighbour)
    assert not health.is_ready
    neighbour.report("site", ok=True)
    assert health.is_ready
    neighbour.report("site", ok=False, detail="none yet")
    assert not health.is_ready
    assert health.reports["loadmgr/site"].detail == "none yet"
