"""Dates of the wire (RFC 3501 §9 `date`, `date-time`)."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

from imap_server.wire.tokens import BadCommandError

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BY_NAME = {name.lower(): number for number, name in enumerate(MONTHS, 1)}
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9]-[A-Za-z]{3}-[0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def parse_date(text: bytes) -> date:
    """`1-Feb-1994`."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise BadCommandError("Invalid date")
    month = _BY_NAME.get(match[2].decode("ascii").lower())
    if month is None:
        raise BadCommandError("Invalid month")
    try:
        return date(int(match[3]), month, int(match[1]))
    except ValueError:
        raise BadCommandError("There is no such date") from None


def parse_date_time(text: bytes) -> datetime:
    """` 1-Feb-1994 10:20:30 -0800`, as an instant in UTC."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise BadCommandError("Invalid date-time")
    day = parse_date(match[1].lstrip())
    offset = timedelta(hours=int(match[6]), minutes=int(match[7]))
    try:
        zone = timezone(-offset if match[5] == b"-" else offset)
        # A leap second is written as :60; instants here have none.
        second = min(int(match[4]), 59) if match[4] == b"60" else int(match[4])
        local = datetime(
            day.year, day.month, day.day, int(match[2]), int(match[3]), second, tzinfo=zone
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCommandError("There is no such date-time") from None


@lru_cache(maxsize=8192)
def format_date_time(instant: datetime) -> bytes:
    """INTERNALDATE with its quotes; `instant` is aware, in UTC."""
    return b'"%2d-%s-%04d %02d:%02d:%02d +0000"' % (
        instant.day,
        MONTHS[instant.month - 1].encode("ascii"),
        instant.year,
        instant.hour,
        instant.minute,
        instant.second,
    )
