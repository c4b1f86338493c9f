"""Message log and meter values."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_moment = sa.DateTime(timezone=True)
_number = sa.Float(53)


def upgrade() -> None:
    """Make the bulk tables."""
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("at", _moment, nullable=False),
        sa.Column("inbound", sa.Boolean, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("latency_ms", _number),
        sa.Column("repairs", sa.Text, nullable=False),
    )
    op.create_index("ix_messages_at", "messages", ["at"])
    op.create_index("ix_messages_station_at", "messages", ["station_id", "at"])
    _make_meter_values()


def _make_meter_values() -> None:
    op.create_table(
        "meter_values",
        sa.Column("value_id", sa.Text, primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("evse_id", sa.Text),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("sampled_at", _moment),
        sa.Column("received_at", _moment, nullable=False),
        sa.Column("context", sa.Text),
        sa.Column("energy_wh", _number),
        sa.Column("energy_export_wh", _number),
        sa.Column("power_w", _number),
        sa.Column("l1_a", _number),
        sa.Column("l2_a", _number),
        sa.Column("l3_a", _number),
        sa.Column("l1_v", _number),
        sa.Column("l2_v", _number),
        sa.Column("l3_v", _number),
        sa.Column("soc_percent", _number),
        sa.Column("offered_a", _number),
    )
    op.create_index("ix_meter_values_transaction", "meter_values", ["station_id", "transaction_id"])
    op.create_index("ix_meter_values_received", "meter_values", ["received_at"])
