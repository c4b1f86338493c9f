"""What every service's alembic ``env.py`` does: migrate over the connection it is given."""

from alembic import context
from sqlalchemy import MetaData


def run_migrations(metadata: MetaData | None = None) -> None:
    """Run the migrations of one service inside the transaction of ``shared.store``."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    context.run_migrations()
