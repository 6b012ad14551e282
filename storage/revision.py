"""Which revision a database stands at, read without Alembic: opening a store must be quick."""

from storage import schema
from storage.backend import Backend, Fault
from um.core.errors import UMError


class WrongRevisionError(UMError):
    """The schema is not the one that this program knows."""

    code = "wrong-revision"
    default = "The database needs `um migrate`"


def revision_of(backend: Backend) -> str | None:
    """The revision of a database; None if it has no tables of ours."""
    connection = backend.connect(writes=True)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT version_num FROM alembic_version")
        rows = cursor.fetchall()
    except backend.errors as error:
        if backend.fault(error) is not Fault.NONE:
            raise
        return None  # there is no such table
    finally:
        connection.close()
    return str(rows[0][0]) if rows else None


def check_revision(backend: Backend) -> None:
    """Raises WrongRevisionError unless the database stands at `schema.REVISION`."""
    found = revision_of(backend)
    if found is None:
        raise WrongRevisionError("The database has no tables yet: run `um migrate`")
    if found != schema.REVISION:
        raise WrongRevisionError(
            f"The database is at revision {found}, this program wants {schema.REVISION}"
        )
