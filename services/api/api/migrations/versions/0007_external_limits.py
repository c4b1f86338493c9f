"""Limits that others set for circuits and groups."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_moment = sa.DateTime(timezone=True)
_number = sa.Float(53)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "external_limits",
        sa.Column("scope", sa.String(16), primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("l1_a", _number),
        sa.Column("l2_a", _number),
        sa.Column("l3_a", _number),
        sa.Column("limit_w", _number),
        sa.Column("expires_at", _moment),
        sa.Column("changed_at", _moment, nullable=False),
    )
