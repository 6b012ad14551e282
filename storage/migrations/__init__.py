"""The Alembic environment: revisions of the schema, each with the reason it was made for."""
