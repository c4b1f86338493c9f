"""Running what a service registered: what a handler raises never ends the task that calls it."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

from shared.errors import HandlerFailed, ParkadeError

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def outcome_of(handling: Awaitable[T], *, what: str) -> T | Exception:
    """Return what a handler returns, or what it raises.

    Expected errors are left to the caller to log; unexpected ones are logged here with their
    traceback. Being cancelled passes through, but only when this very task is being cancelled: a
    handler that waited for something that another task cancelled has merely failed.
    """
    try:
        return await handling
    except ParkadeError as error:
        return error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        logger.warning("%s waited for something that was cancelled", what)
        return HandlerFailed("what the handler waited for was cancelled")
    except Exception as error:
        logger.exception("%s failed", what)
        return error
