"""Alembic's entry point; `livekit.state.opening` hands over a connection in a transaction."""

from alembic import context

from livekit.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
