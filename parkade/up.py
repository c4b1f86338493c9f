"""``parkade up`` and ``parkade demo``: start everything, say where it is, run until stopped."""

import asyncio
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from api.settings import ApiSettings
from ocpp_server.settings import OcppServerSettings
from parkade.compose import one_process
from parkade.services import SERVICES
from parkade.simulation.garage import demo_garage
from shared.errors import ConfigError
from shared.logs import set_up_logging
from shared.settings import ServiceSettings, load_settings

READY_WITHIN_S = 60.0


async def up() -> None:
    """Run every service until cancelled."""
    await _run(_load_all())


async def demo() -> None:
    """Run every service beside a simulated garage; what it stores is gone afterwards."""
    ocpp_port = load_settings(OcppServerSettings).ocpp_port
    async with demo_garage(f"ws://127.0.0.1:{ocpp_port}") as garage:
        with tempfile.TemporaryDirectory(prefix="parkade-demo-") as folder:
            site_file = Path(folder) / "site.yaml"
            site_file.write_text(garage.site_yaml)
            await _run(_load_all(data_dir=Path(folder), site_file=site_file))


def _load_all(**overrides: object) -> Mapping[str, ServiceSettings]:
    settings = {
        name: load_settings(entry.settings, **overrides) for name, entry in SERVICES.items()
    }
    some = settings["api"]
    if not some.bus_url.startswith("memory:"):
        raise ConfigError(
            f"PARKADE_BUS_URL is {some.bus_url!r}, but one process needs no broker: remove it, or "
            "run the services one by one with parkade run SERVICE"
        )
    set_up_logging(level=some.log_level, style=some.log_format)
    return settings


async def _run(settings: Mapping[str, ServiceSettings]) -> None:
    async with one_process(settings) as house:
        async with asyncio.timeout(READY_WITHIN_S):
            await house.until_ready()
        print(_welcome(settings), flush=True)  # noqa: T201 - the operator's terminal
        await asyncio.Event().wait()


def _welcome(settings: Mapping[str, ServiceSettings]) -> str:
    api, ocpp = settings["api"], settings["ocpp-server"]
    if not (isinstance(api, ApiSettings) and isinstance(ocpp, OcppServerSettings)):
        raise TypeError("settings of the wrong class")
    shown = "localhost" if api.http_host in {"127.0.0.1", "0.0.0.0", "::"} else api.http_host
    host = _own_address() if ocpp.ocpp_host == "0.0.0.0" else ocpp.ocpp_host
    return "\n".join(
        (
            "",
            "Parkade is running. Stop it with Ctrl-C.",
            f"  REST API and documentation   http://{shown}:{api.http_port}/docs",
            f"  wallboxes connect to         ws://{host}:{ocpp.ocpp_port}/<ChargeBox id>",
            f"                          or   wss://{host}:{ocpp.ocpp_port}/<ChargeBox id>",
            f"  data is kept in              {api.data_dir.absolute()}",
            "",
        )
    )


def _own_address() -> str:
    """The address that other machines of the network most likely reach this one by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: UDP connect only chooses a route
        except OSError:
            return "localhost"
        return str(probe.getsockname()[0])
