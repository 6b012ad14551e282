"""The migrations arrive at the schema that the program is written for, on both databases."""

import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from storage import schema
from storage.migrate import upgrade


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated(request, tmp_path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'um.db'}"
    else:
        url = request.getfixturevalue("server").create()
    assert upgrade(url) is True
    assert upgrade(url) is False
    return url


def test_the_migrated_schema_is_the_schema(migrated):
    """Alembic finds no difference in tables, columns, types, defaults, keys and indexes."""
    engine = sa.create_engine(migrated, poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []


def test_the_migrated_tables_are_those_that_the_schema_makes(migrated, tmp_path, request):
    """What Alembic does not compare is compared too: the very DDL, as the database keeps it."""
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    if not migrated.startswith("sqlite"):
        fresh = request.getfixturevalue("server").create()
    engine = sa.create_engine(fresh, poolclass=sa.NullPool)
    schema.metadata.create_all(engine)
    assert _described(migrated) == _described(fresh)


def _described(url):
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            query = (
                "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL "
                "AND name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite%'"
            )
            # Lines apart, because the constraints of a table have no order; what ALTER TABLE
            # added stands in the line of the last column.
            return {
                name: sorted(
                    line.strip(" ,\t")
                    for line in re.split(r"\n|, (?=[a-z_]+ [A-Z]+)", sql)
                    if line.strip()
                )
                for name, sql in connection.execute(sa.text(query))
            }
        constraints = (
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'"
        )
        indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        found = [*connection.execute(sa.text(constraints)), *connection.execute(sa.text(indexes))]
        return {name: text for name, text in found if "alembic" not in name}
