"""Indexes by age, so that what is old is found without reading what is kept."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_station_jobs_changed", "station_jobs", ["changed_at"])
    op.create_index("ix_reservations_changed", "reservations", ["changed_at"])
    op.create_index("ix_security_events_received", "security_events", ["received_at"])
    op.create_index("ix_signed_values_received", "signed_values", ["received_at"])
