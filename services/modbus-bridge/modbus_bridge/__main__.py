"""Runs the bridge as a process of its own."""

from modbus_bridge.service import run
from modbus_bridge.settings import ModbusBridgeSettings
from shared.runtime import main

main("modbus-bridge", run, ModbusBridgeSettings)
