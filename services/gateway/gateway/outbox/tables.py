"""The tables of the outbox. ``migrations`` makes them; a test keeps both the same."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

messages = Table(
    "messages",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("uplink", String(600), nullable=False),
    Column("frame_id", String(200), nullable=False),
    Column("station_id", String(64)),
    Column("action", String(64), nullable=False),
    Column("payload_text", Text, nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("transaction_key", String(200)),
    Column("wants_answer", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("settled_at", String(40)),
    UniqueConstraint("uplink", "frame_id", name="uq_messages_uplink_frame_id"),
    Index("ix_messages_uplink_state_id", "uplink", "state", "id"),
    sqlite_autoincrement=True,
)
"""What backends have to receive, in the order of ``id``, and lately have received."""

transactions = Table(
    "transactions",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("uplink", String(600), nullable=False),
    Column("evse_id", String(64), nullable=False),
    Column("connector", Integer, nullable=False),
    Column("station_id", String(64)),
    Column("local_id", BigInteger),
    Column("backend_id", BigInteger),
    Column("token", String(64), nullable=False),
    Column("meter_start_wh", BigInteger, nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("ended_at", String(40)),
    Index("ix_transactions_uplink_ended_at", "uplink", "ended_at"),
    Index("ix_transactions_station_local", "station_id", "local_id"),
)
"""Every transaction: what the station, if there is one, and what the backend calls it."""

latest = Table(
    "latest",
    metadata,
    Column("uplink", String(600), primary_key=True),
    Column("slot", String(100), primary_key=True),
    Column("action", String(64), nullable=False),
    Column("payload_text", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("after_id", BigInteger, nullable=False),
)
"""Messages of which only the last one matters. ``after_id`` is its place among ``messages``."""

settings = Table(
    "settings",
    metadata,
    Column("uplink", String(600), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
"""What a backend has set: configuration keys, availability, charging profiles."""
