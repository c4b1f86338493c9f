"""Baseline: the ``ocpp`` package on the ``websockets`` server, as in the package's own example."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class CentralSystem(ChargePoint):
    """Answers what the load generator sends."""

    @on(Action.boot_notification)
    def booted(self, **_payload: Any) -> call_result.BootNotification:
        """Accept."""
        now = datetime.now(UTC).isoformat()
        return call_result.BootNotification(now, 300, RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def beat(self) -> call_result.Heartbeat:
        """Tell the time."""
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.meter_values)
    def measured(self, **_payload: Any) -> call_result.MeterValues:
        """Take note."""
        return call_result.MeterValues()

    @on(Action.status_notification)
    def changed(self, **_payload: Any) -> call_result.StatusNotification:
        """Take note."""
        return call_result.StatusNotification()


async def serve_station(socket: ServerConnection) -> None:
    """Serve one station until it hangs up."""
    assert socket.request is not None
    try:
        await CentralSystem(socket.request.path.strip("/"), socket).start()
    except ConnectionClosed:
        return


async def main(port: int) -> None:
    """Serve for ever."""
    async with serve(serve_station, "127.0.0.1", port, subprotocols=["ocpp1.6"]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
