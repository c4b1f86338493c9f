"""The outbox: messages, transactions, latest states, settings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("uplink", sa.String(600), nullable=False),
        sa.Column("frame_id", sa.String(200), nullable=False),
        sa.Column("station_id", sa.String(64)),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("payload_text", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("transaction_key", sa.String(200)),
        sa.Column("wants_answer", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("settled_at", sa.String(40)),
        sa.UniqueConstraint("uplink", "frame_id", name="uq_messages_uplink_frame_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_uplink_state_id", "messages", ["uplink", "state", "id"])
    op.create_table(
        "transactions",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("uplink", sa.String(600), nullable=False),
        sa.Column("evse_id", sa.String(64), nullable=False),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("station_id", sa.String(64)),
        sa.Column("local_id", sa.BigInteger),
        sa.Column("backend_id", sa.BigInteger),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("meter_start_wh", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.String(40), nullable=False),
        sa.Column("ended_at", sa.String(40)),
    )
    op.create_index("ix_transactions_uplink_ended_at", "transactions", ["uplink", "ended_at"])
    op.create_index("ix_transactions_station_local", "transactions", ["station_id", "local_id"])
    op.create_table(
        "latest",
        sa.Column("uplink", sa.String(600), primary_key=True),
        sa.Column("slot", sa.String(100), primary_key=True),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("payload_text", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("after_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("uplink", sa.String(600), primary_key=True),
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("settings", "latest", "transactions", "messages"):
        op.drop_table(table)
