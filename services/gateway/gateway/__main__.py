"""``python -m gateway``: the gateway as a process of its own."""

from gateway.service import run
from gateway.settings import GatewaySettings
from shared.runtime import main

if __name__ == "__main__":
    main("gateway", run, GatewaySettings)
