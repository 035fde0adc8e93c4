"""Runs Alembic for Flask-Migrate on the application's own engine."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import MetaData, text

# Several containers may migrate at the same moment; one does it, the others wait and find nothing to do.
_MIGRATION_LOCK = 7_355_608


def _metadata() -> MetaData:
    metadata: MetaData = current_app.extensions["migrate"].db.metadata
    return metadata


def _skip_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Let `flask db migrate` write nothing where the models equal the database."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


def run_offline() -> None:
    """Print the SQL (`flask db upgrade --sql`)."""
    engine = current_app.extensions["migrate"].db.engine
    context.configure(url=engine.url, target_metadata=_metadata(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate in one transaction."""
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=_metadata(),
            process_revision_directives=_skip_empty,
            **{
                name: value
                for name, value in current_app.extensions["migrate"].configure_args.items()
                if name != "process_revision_directives"
            },
        )
        with context.begin_transaction():
            connection.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
