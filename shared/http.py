"""Serving an ASGI app inside a service: no signal handlers, and a clear error for a taken port."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from shared.errors import ConfigError


def listening_socket(host: str, port: int, *, setting: str) -> socket.socket:
    """Return a bound, listening TCP socket.

    Raises ``ConfigError`` naming the setting to change when the port is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        why = {
            errno.EADDRINUSE: "is already in use: stop the other program",
            errno.EACCES: "may not be opened by this user",
            errno.EADDRNOTAVAIL: "is not an address of this machine",
        }.get(error.errno or 0, str(error))
        raise ConfigError(f"{host} port {port} {why}, or choose another with {setting}") from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: only the runtime has some."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_http(app: FastAPI, listener: socket.socket) -> None:
    """Serve until cancelled; running requests get two seconds to finish."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
        ws_max_size=1 << 20,
    )
    server = _Server(config)
    serving = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        # Cancelling uvicorn itself would leave its listener in the loop and its connections open.
        server.should_exit = True
        await serving
        raise
    finally:
        listener.close()
