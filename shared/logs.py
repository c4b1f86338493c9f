"""Logging, set up once by the runtime: text for people, JSON for machines."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_context: ContextVar[dict[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add ids (station, evse, …) to every line logged inside."""
    token = _context.set({**_context.get(), **ids})
    try:
        yield
    finally:
        _context.reset(token)


class _WithContext(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        ids = _context.get()
        record.ids = ids
        record.ids_text = "".join(f" {key}={value}" for key, value in ids.items())
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up_logging(*, level: str, style: str) -> None:
    """Send every log line to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithContext())
    text = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(ids_text)s"
    handler.setFormatter(JsonFormatter() if style == "json" else logging.Formatter(text))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("aio_pika", "aiormq", "pymodbus", "websockets", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
