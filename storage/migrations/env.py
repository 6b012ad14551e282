"""Runs the revisions on the connection that `storage.migrate` opened, in its one transaction."""

from alembic import context

from storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional when nobody commits behind its back; Alembic assumes it is not.
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
