"""The tables. Migrations make them; this is what statements are built of."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite stores it without its zone, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store in UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return with the zone."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


metadata = MetaData()

site_revisions = Table(
    "site_revisions",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("document", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("author", String(64), nullable=False),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

setup_codes = Table(
    "setup_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("evse_id", String(64), nullable=False),
    Column("station_id", Text, nullable=False),
    Column("connector", Integer, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("token", Text),
    Column("energy_start_wh", Float(53)),
    Column("energy_stop_wh", Float(53)),
    Column("transaction_id", BigInteger),
    Column("reason", Text, nullable=False, default=""),
    Index("ix_sessions_evse_started", "evse_id", "started_at"),
    Index("ix_sessions_started", "started_at"),
)

samples = Table(
    "samples",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("source", String(64), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("state", String(8)),
    Column("l1_a", Float(53)),
    Column("l2_a", Float(53)),
    Column("l3_a", Float(53)),
    Column("power_w", Float(53)),
    Column("energy_wh", Float(53)),
    Column("energy_export_wh", Float(53)),
    Column("offered_a", Float(53)),
    Index("ix_samples_at", "at"),
)
