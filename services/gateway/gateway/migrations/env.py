"""Migrations of the gateway's outbox."""

from shared.migration_env import run_migrations

run_migrations()
