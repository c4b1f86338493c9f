"""Jobs, reservations, security events and signed values of stations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "station_jobs",
        sa.Column("job_id", sa.String(32), primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("request_id", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ordered_at", _moment),
        sa.Column("begun_at", _moment, nullable=False),
        sa.Column("changed_at", _moment, nullable=False),
        sa.Column("finished_at", _moment),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("steps", sa.JSON, nullable=False),
    )
    op.create_index("ix_station_jobs_station_begun", "station_jobs", ["station_id", "begun_at"])
    op.create_table(
        "reservations",
        sa.Column("station_id", sa.Text, primary_key=True),
        sa.Column("reservation_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("connector", sa.BigInteger),
        sa.Column("token", sa.Text),
        sa.Column("parent", sa.Text),
        sa.Column("expires_at", _moment),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("reserved_at", _moment),
        sa.Column("changed_at", _moment, nullable=False),
    )
    _make_evidence()


def _make_evidence() -> None:
    op.create_table(
        "security_events",
        sa.Column("event_id", sa.String(64), primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("critical", sa.Boolean, nullable=False),
        sa.Column("tech_info", sa.Text, nullable=False),
        sa.Column("told_at", sa.Text, nullable=False),
        sa.Column("received_at", _moment, nullable=False),
    )
    op.create_index(
        "ix_security_events_station_received", "security_events", ["station_id", "received_at"]
    )
    op.create_table(
        "signed_values",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("connector", sa.BigInteger, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("context", sa.Text),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("received_at", _moment, nullable=False),
        sa.UniqueConstraint("station_id", "sha256", name="uq_signed_values_station_sha256"),
    )
    op.create_index("ix_signed_values_session", "signed_values", ["session_id"])
