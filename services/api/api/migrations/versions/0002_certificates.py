"""Certificates with their keys, and the number of their last change."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and begin to count changes at 0."""
    op.create_table(
        "certificates",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("use", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("certificate_pem", sa.Text),
        sa.Column("key_pem", sa.Text),
        sa.Column("request_pem", sa.Text),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("not_before", _moment),
        sa.Column("not_after", _moment),
        sa.Column("created_at", _moment, nullable=False),
    )
    counter = op.create_table(
        "certificates_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "revision": 0}])
