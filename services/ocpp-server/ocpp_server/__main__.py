"""``python -m ocpp_server``: the OCPP server as a process of its own."""

from ocpp_server.service import run
from ocpp_server.settings import OcppServerSettings
from shared.runtime import main

main("ocpp-server", run, OcppServerSettings)
