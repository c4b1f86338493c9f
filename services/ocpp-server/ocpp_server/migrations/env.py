"""Alembic's entry point."""

from ocpp_server.ledger.tables import metadata
from shared.migration_env import run_migrations

run_migrations(metadata)
