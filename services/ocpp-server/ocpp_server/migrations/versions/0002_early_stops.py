"""What a stop without transaction says, so that a start that comes later can find it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TYPES: tuple[tuple[str, type[sa.types.TypeEngine[object]]], ...] = (
    ("transaction_id", sa.Integer),
    ("stopped_text", sa.Text),
    ("meter_stop", sa.Float),
    ("stop_id_tag", sa.Text),
    ("reason", sa.Text),
)


def upgrade() -> None:
    """Add the columns; of stops that came before, they stay empty, and no start finds them."""
    for name, type_ in _TYPES:
        op.add_column("orphan_stops", sa.Column(name, type_))
    op.add_column("orphan_stops", sa.Column("stopped_at", sa.DateTime(timezone=True)))
    op.create_index("ix_orphan_stops_station", "orphan_stops", ["station_id", "received_at"])


def downgrade() -> None:
    """Remove them; the stops themselves stay."""
    op.drop_index("ix_orphan_stops_station", "orphan_stops")
    op.drop_column("orphan_stops", "stopped_at")
    for name, _ in _TYPES:
        op.drop_column("orphan_stops", name)
