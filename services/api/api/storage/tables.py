"""The tables. Migrations make them; this is what statements are built of."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
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

certificates = Table(
    "certificates",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("use", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("certificate_pem", Text),
    # Not encrypted: whoever reads this database can speak for the site (docs/operations.md).
    Column("key_pem", Text),
    Column("request_pem", Text),
    Column("fingerprint", String(64)),
    Column("not_before", UtcDateTime),
    Column("not_after", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)

certificates_revision = Table(
    "certificates_revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("inbound", Boolean, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("latency_ms", Float(53)),
    Column("repairs", Text, nullable=False),
    Index("ix_messages_at", "at"),
    Index("ix_messages_station_at", "station_id", "at"),
)

meter_values = Table(
    "meter_values",
    metadata,
    Column("value_id", Text, primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("connector", Integer, nullable=False),
    Column("evse_id", Text),
    Column("transaction_id", BigInteger),
    Column("sampled_at", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("context", Text),
    Column("energy_wh", Float(53)),
    Column("energy_export_wh", Float(53)),
    Column("power_w", Float(53)),
    Column("l1_a", Float(53)),
    Column("l2_a", Float(53)),
    Column("l3_a", Float(53)),
    Column("l1_v", Float(53)),
    Column("l2_v", Float(53)),
    Column("l3_v", Float(53)),
    Column("soc_percent", Float(53)),
    Column("offered_a", Float(53)),
    Index("ix_meter_values_transaction", "station_id", "transaction_id"),
    Index("ix_meter_values_received", "received_at"),
)

external_limits = Table(
    "external_limits",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("l1_a", Float(53)),
    Column("l2_a", Float(53)),
    Column("l3_a", Float(53)),
    Column("limit_w", Float(53)),
    Column("expires_at", UtcDateTime),
    Column("changed_at", UtcDateTime, nullable=False),
)

charging_plans = Table(
    "charging_plans",
    metadata,
    Column("evse_id", Text, primary_key=True),
    Column("starts_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("departs_at", UtcDateTime),
    Column("energy_wh", Float(53)),
    Column("override_charge", Boolean),
    Column("override_limit_a", Float(53)),
    Column("has_vehicle", Boolean, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

station_jobs = Table(
    "station_jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("request_id", BigInteger),
    Column("status", Text, nullable=False),
    Column("ordered_at", UtcDateTime),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("location", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("steps", JSON, nullable=False),
    Index("ix_station_jobs_station_begun", "station_id", "begun_at"),
    Index("ix_station_jobs_changed", "changed_at"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("station_id", Text, primary_key=True),
    Column("reservation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("connector", BigInteger),
    Column("token", Text),
    Column("parent", Text),
    Column("expires_at", UtcDateTime),
    Column("transaction_id", BigInteger),
    Column("reserved_at", UtcDateTime),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_reservations_changed", "changed_at"),
)

security_events = Table(
    "security_events",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("critical", Boolean, nullable=False),
    Column("tech_info", Text, nullable=False),
    Column("told_at", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Index("ix_security_events_station_received", "station_id", "received_at"),
    Index("ix_security_events_received", "received_at"),
)

signed_values = Table(
    "signed_values",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("connector", BigInteger, nullable=False),
    Column("session_id", Text),
    Column("transaction_id", BigInteger),
    Column("context", Text),
    Column("raw", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    UniqueConstraint("station_id", "sha256", name="uq_signed_values_station_sha256"),
    Index("ix_signed_values_session", "session_id"),
    Index("ix_signed_values_received", "received_at"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("station_key", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("reason", String(32), primary_key=True),
    Column("station_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("subprotocols", JSON, nullable=False),
    Column("user", Text),
    Column("tls", Boolean, nullable=False),
    Column("tls_alert", Text, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index("ix_refusals_last", "last_at"),
)
