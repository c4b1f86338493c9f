"""Charging plans, and what is set by hand at an EVSE."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_moment = sa.DateTime(timezone=True)
_number = sa.Float(53)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "charging_plans",
        sa.Column("evse_id", sa.Text, primary_key=True),
        sa.Column("starts_at", _moment),
        sa.Column("ends_at", _moment),
        sa.Column("departs_at", _moment),
        sa.Column("energy_wh", _number),
        sa.Column("override_charge", sa.Boolean),
        sa.Column("override_limit_a", _number),
        sa.Column("has_vehicle", sa.Boolean, nullable=False),
        sa.Column("changed_at", _moment, nullable=False),
    )
