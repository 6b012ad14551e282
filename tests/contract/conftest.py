"""Every store the product has, behind one fixture: `house` runs a test on each of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storage import schema
from storage.memory import MemoryStore
from storage.migrate import upgrade
from tests.support.postgres import Postgres, postgres
from tests.support.stores import House, on_database

KINDS = ("memory", "sqlite", "postgresql")


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(server: Postgres) -> str:
    """A migrated database; the fixture that uses it empties it first."""
    url = server.create()
    upgrade(url)
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "um.db"
    upgrade(path)
    return path


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "memory":
        made = House(lambda publish, clock, steps: MemoryStore(publish, clock=clock, steps=steps))
    else:
        made = _on_database(request)
    yield made
    made.close()


@pytest.fixture(params=KINDS[1:])
def persistent(request: pytest.FixtureRequest) -> Iterator[House]:
    """A store on a database; `house.url` names it for another process."""
    made = _on_database(request)
    yield made
    made.close()


def _on_database(request: pytest.FixtureRequest) -> House:
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "um.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        url = str(path)
    else:
        url = request.getfixturevalue("postgres_url")
        tables = ", ".join(table.name for table in schema.metadata.sorted_tables)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
    return on_database(url)
