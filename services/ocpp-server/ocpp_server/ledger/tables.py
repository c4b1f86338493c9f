"""The tables of the ledger. Changed by migrations only."""

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

stations = Table(
    "stations",
    metadata,
    Column("station_id", String(64), primary_key=True),
    Column("epoch", Integer, nullable=False),
)

transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("station_id", String(64), nullable=False),
    Column("station_known", Boolean, nullable=False),
    Column("evse_id", String(64)),
    Column("connector", Integer, nullable=False),
    Column("id_tag", Text, nullable=False),
    Column("started_text", Text),
    Column("started_at", DateTime(timezone=True)),
    Column("start_received_at", DateTime(timezone=True), nullable=False),
    Column("meter_start", Float),
    Column("start_frame", Text, nullable=False),
    Column("stopped_text", Text),
    Column("stopped_at", DateTime(timezone=True)),
    Column("stop_received_at", DateTime(timezone=True)),
    Column("meter_stop", Float),
    Column("stop_id_tag", Text),
    Column("reason", Text),
    Column("stop_frame", Text),
    Index("ix_transactions_station_open", "station_id", "stop_received_at"),
    sqlite_autoincrement=True,  # an id is never given twice, not even after a deletion
)

orphan_stops = Table(
    "orphan_stops",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("station_id", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("frame", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("transaction_id", Integer),
    Column("stopped_text", Text),
    Column("stopped_at", DateTime(timezone=True)),
    Column("meter_stop", Float),
    Column("stop_id_tag", Text),
    Column("reason", Text),
    Index("ix_orphan_stops_station", "station_id", "received_at"),
)
"""Stops that named no transaction of ours. ``transaction_id`` is the one that they were found to
end; the others are kept, so that a start that comes later finds them, or a person can bill them."""

signed_values = Table(
    "signed_values",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("station_id", String(64), nullable=False),
    Column("connector", Integer, nullable=False),
    Column("transaction_id", Integer, index=True),
    Column("context", Text),
    Column("raw", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("station_id", "sha256", name="uq_signed_values_station_sha256"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("station_id", String(64), nullable=False),
    Column("topic", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False),
    sqlite_autoincrement=True,  # the id is the order
)
"""Durable events that the bus has not confirmed yet, written together with their cause."""
