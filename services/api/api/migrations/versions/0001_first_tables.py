"""Configuration, access, sessions and samples."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "site_revisions",
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.Column("author", sa.String(64), nullable=False),
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("created_at", _moment, nullable=False),
    )
    op.create_table(
        "setup_codes",
        sa.Column("code_hash", sa.String(64), primary_key=True),
        sa.Column("expires_at", _moment, nullable=False),
    )
    _make_sessions()
    _make_samples()


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("evse_id", sa.String(64), nullable=False),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("connector", sa.Integer, nullable=False),
        sa.Column("started_at", _moment),
        sa.Column("ended_at", _moment),
        sa.Column("token", sa.Text),
        sa.Column("energy_start_wh", sa.Float(53)),
        sa.Column("energy_stop_wh", sa.Float(53)),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_sessions_evse_started", "sessions", ["evse_id", "started_at"])
    op.create_index("ix_sessions_started", "sessions", ["started_at"])


def _make_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("at", _moment, primary_key=True),
        sa.Column("state", sa.String(8)),
        sa.Column("l1_a", sa.Float(53)),
        sa.Column("l2_a", sa.Float(53)),
        sa.Column("l3_a", sa.Float(53)),
        sa.Column("power_w", sa.Float(53)),
        sa.Column("energy_wh", sa.Float(53)),
        sa.Column("energy_export_wh", sa.Float(53)),
        sa.Column("offered_a", sa.Float(53)),
    )
    op.create_index("ix_samples_at", "samples", ["at"])
