"""Looks at the machine before Parkade has to: ports, folders, database, broker."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from api.settings import ApiSettings
from ocpp_server.settings import OcppServerSettings
from shared.errors import ConfigError
from shared.http import listening_socket
from shared.settings import ServiceSettings, load_settings

REACH_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    part: str
    ok: bool
    detail: str


async def findings() -> list[Finding]:
    """Look at everything that one machine needs. Raises ``ConfigError`` for unusable settings."""
    api, ocpp = load_settings(ApiSettings), load_settings(OcppServerSettings)
    found = [
        _folder(api.data_dir),
        _port("REST port", api.http_host, api.http_port, "PARKADE_HTTP_PORT"),
        _port("OCPP port", ocpp.ocpp_host, ocpp.ocpp_port, "PARKADE_OCPP_PORT"),
    ]
    found.extend(await _servers(api))
    return found


def _folder(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".doctor"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return Finding("data folder", False, f"{folder}: {error.strerror}; set PARKADE_DATA_DIR")
    return Finding("data folder", True, str(folder.absolute()))


def _port(part: str, host: str, port: int | None, setting: str) -> Finding:
    if port is None:
        return Finding(part, True, "not served here")
    try:
        listening_socket(host, port, setting=setting).close()
    except ConfigError as error:
        return Finding(part, False, str(error))
    return Finding(part, True, f"{host}:{port} is free")


async def _servers(settings: ServiceSettings) -> list[Finding]:
    found = []
    if not settings.bus_url.startswith("memory:"):
        found.append(await _reach("broker", settings.bus_url, 5672, "PARKADE_BUS_URL"))
    if settings.database_url is not None and not settings.database_url.startswith("sqlite"):
        found.append(await _reach("database", settings.database_url, 5432, "PARKADE_DATABASE_URL"))
    return found


async def _reach(part: str, url: str, default_port: int, setting: str) -> Finding:
    address = urlsplit(url)
    host, port = address.hostname or "localhost", address.port or default_port
    try:
        async with asyncio.timeout(REACH_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError, socket.gaierror):
        return Finding(part, False, f"{host}:{port} does not answer; check {setting}")
    writer.close()
    return Finding(part, True, f"{host}:{port} answers")
