"""Rows as the records of ``api.domain`` take them."""

from typing import Any

from sqlalchemy import Row


def values_of(row: Row[Any]) -> dict[str, Any]:
    """Return a row's values by the names of its columns."""
    return dict(row._mapping)  # noqa: SLF001 - public in SQLAlchemy, despite its name
