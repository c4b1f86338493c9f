"""What an operator sees at the terminal: a clean stop, and starts that cannot work."""

import asyncio
from pathlib import Path

import pytest

from shared.http import listening_socket
from tests.broker import free_port
from tests.conditions import eventually
from tests.e2e.deployment import InOneProcess, Process


async def ended(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Run ``parkade`` until it ends by itself; return exit code and output."""
    environment = {
        "PARKADE_DATA_DIR": str(folder / "data"),
        "PARKADE_HTTP_PORT": str(free_port()),
        "PARKADE_OCPP_PORT": str(free_port()),
        "PARKADE_OCPP_HOST": "127.0.0.1",
        **settings,
    }
    process = Process(arguments, environment, folder / "log")
    await process.start()
    assert process.running is not None
    try:
        async with asyncio.timeout(40):
            code = await process.running.wait()
    except TimeoutError:
        await process.kill()
        raise AssertionError(f"did not end by itself:\n{process.output}") from None
    return code, process.output


async def test_ctrl_c_stops_everything_cleanly_and_addresses_were_printed(tmp_path: Path) -> None:
    deployment = InOneProcess(tmp_path)
    await deployment.start()
    await eventually(lambda: f"http://localhost:{deployment.http_port}/docs" in deployment.output)
    assert f":{deployment.ocpp_port}/<ChargeBox id>" in deployment.output
    assert await deployment.process.stop() == 0
    assert "Traceback" not in deployment.output
    await deployment.api.aclose()


async def test_without_a_token_a_set_up_link_is_printed(tmp_path: Path) -> None:
    deployment = InOneProcess(tmp_path)
    del deployment.process.environment["PARKADE_ADMIN_TOKEN"]
    await deployment.start()
    await eventually(lambda: "/setup#code=" in deployment.output)
    await deployment.stop()


@pytest.mark.parametrize("setting", ["PARKADE_OCPP_PORT", "PARKADE_HTTP_PORT"])
async def test_a_taken_port_ends_with_what_to_change(tmp_path: Path, setting: str) -> None:
    with listening_socket("127.0.0.1", 0, setting="") as taken:
        port = str(taken.getsockname()[1])
        code, output = await ended(tmp_path, "up", **{setting: port})
    assert code == 2
    assert f"port {port} is already in use" in output
    assert setting in output
    assert "Traceback" not in output


async def test_a_database_that_cannot_be_opened_ends_with_what_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = await ended(tmp_path, "up", PARKADE_DATA_DIR=str(tmp_path / "file" / "data"))
    assert code == 2
    assert "PARKADE_DATA_DIR" in output


async def test_a_database_server_that_is_not_there_ends_with_what_to_change(tmp_path: Path) -> None:
    url = f"postgresql+asyncpg://parkade@127.0.0.1:{free_port()}/parkade"
    code, output = await ended(tmp_path, "up", PARKADE_DATABASE_URL=url)
    assert code == 2
    assert "PARKADE_DATABASE_URL" in output


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("circuits: [", "line"),
        ("circuits: [{id: main, limit_a: 32, colour: red}]", "colour"),
        (
            "circuits: [{id: main, limit_a: 32}]\n"
            "stations: [{id: CP1, protocol: ocpp}]\n"
            "evses: [{id: bay, station: CP1, circuit: cellar}]\n",
            "cellar",
        ),
    ],
    ids=["no YAML", "unknown key", "circuit that does not exist"],
)
async def test_a_site_file_that_cannot_work_is_named(
    tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(content)
    for arguments in (("up",), ("check-site", str(file))):
        code, output = await ended(tmp_path, *arguments, PARKADE_SITE_FILE=str(file))
        assert code == 2, arguments
        assert "site.yaml" in output
        assert told in output


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (("run", "loadmgr"), {}, "PARKADE_BUS_URL"),
        (("run", "nosuch"), {}, "loadmgr"),
        (("up",), {"PARKADE_BUS_URL": "amqp://broker/"}, "parkade run"),
        (("up",), {"PARKADE_ADMIN_TOKEN": "changeme"}, "PARKADE_ADMIN_TOKEN"),
        (("up",), {"PARKADE_HTTP_PORT": "many"}, "PARKADE_HTTP_PORT"),
        (("run", "loadmgr"), {"PARKADE_BUS_URL": "kafka://x/"}, "amqp://"),
    ],
)
async def test_settings_that_cannot_work_are_named(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], told: str
) -> None:
    code, output = await ended(tmp_path, *arguments, **settings)
    assert code == 2, output
    assert told in output
