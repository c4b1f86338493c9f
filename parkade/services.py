"""The five services by name: how each is run and what it is configured by."""

from dataclasses import dataclass
from typing import Any

from api.service import run as run_api
from api.settings import ApiSettings
from gateway.service import run as run_gateway
from gateway.settings import GatewaySettings
from loadmgr.service import run as run_loadmgr
from loadmgr.settings import LoadmgrSettings
from modbus_bridge.service import run as run_modbus_bridge
from modbus_bridge.settings import ModbusBridgeSettings
from ocpp_server.service import run as run_ocpp_server
from ocpp_server.settings import OcppServerSettings
from shared.runtime import Service
from shared.settings import ServiceSettings


@dataclass(frozen=True)
class ServiceEntry:
    """A service that can be run."""

    name: str
    run: Service[Any]
    settings: type[ServiceSettings]


SERVICES = {
    entry.name: entry
    for entry in (
        ServiceEntry("api", run_api, ApiSettings),
        ServiceEntry("ocpp-server", run_ocpp_server, OcppServerSettings),
        ServiceEntry("modbus-bridge", run_modbus_bridge, ModbusBridgeSettings),
        ServiceEntry("loadmgr", run_loadmgr, LoadmgrSettings),
        ServiceEntry("gateway", run_gateway, GatewaySettings),
    )
}
