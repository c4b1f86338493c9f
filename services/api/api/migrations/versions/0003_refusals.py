"""Refused connections, one row for each station, address and reason."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "refusals",
        sa.Column("station_key", sa.Text, primary_key=True),
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("reason", sa.String(32), primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("subprotocols", sa.JSON, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("tls", sa.Boolean, nullable=False),
        sa.Column("tls_alert", sa.Text, nullable=False),
        sa.Column("first_at", _moment, nullable=False),
        sa.Column("last_at", _moment, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_refusals_last", "refusals", ["last_at"])
