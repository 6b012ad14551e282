"""Instants as they are stored: microseconds since 1970 in UTC, in a BIGINT on every database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT_IN_DOUBLE = 2**32 * 1_000_000
"""Within 2^32 s of 1970 a double of seconds is off by less than a quarter of a microsecond."""


def to_micros(at: datetime) -> int:
    """Exact. Raises TypeError for a datetime without zone: every instant of the house is aware."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Exact, aware, in UTC."""
    if -_EXACT_IN_DOUBLE < micros < _EXACT_IN_DOUBLE:
        return datetime.fromtimestamp(micros / 1e6, UTC)  # a third of the time; lists hold many
    return _EPOCH + timedelta(microseconds=micros)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware datetime; integers sort, compare and travel alike on SQLite and PostgreSQL."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else from_micros(value)
