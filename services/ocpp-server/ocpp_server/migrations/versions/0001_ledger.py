"""The first tables: epochs, transactions, orphan stops, signed values, outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _station() -> sa.Column[str]:
    return sa.Column("station_id", sa.String(64), nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "stations",
        sa.Column("station_id", sa.String(64), primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    op.create_table(
        "transactions",
        _number(),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        _station(),
        sa.Column("station_known", sa.Boolean, nullable=False),
        sa.Column("evse_id", sa.String(64)),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("id_tag", sa.Text, nullable=False),
        sa.Column("started_text", sa.Text),
        _moment("started_at"),
        _moment("start_received_at", nullable=False),
        sa.Column("meter_start", sa.Float),
        sa.Column("start_frame", sa.Text, nullable=False),
        sa.Column("stopped_text", sa.Text),
        _moment("stopped_at"),
        _moment("stop_received_at"),
        sa.Column("meter_stop", sa.Float),
        sa.Column("stop_id_tag", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("stop_frame", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_transactions_station_open", "transactions", ["station_id", "stop_received_at"]
    )
    op.create_table(
        "orphan_stops",
        _number(),
        _station(),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("frame", sa.Text, nullable=False),
        _moment("received_at", nullable=False),
    )
    op.create_table(
        "signed_values",
        _number(),
        _station(),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("transaction_id", sa.Integer),
        sa.Column("context", sa.Text),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        _moment("received_at", nullable=False),
        sa.UniqueConstraint("station_id", "sha256", name="uq_signed_values_station_sha256"),
    )
    op.create_index("ix_signed_values_transaction_id", "signed_values", ["transaction_id"])
    op.create_table(
        "outbox",
        _number(),
        _station(),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _moment("stored_at", nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Remove them, with everything in them."""
    for table in ("outbox", "signed_values", "orphan_stops", "transactions", "stations"):
        op.drop_table(table)
