"""Calendar arithmetic in an account's own time zone.

Laws:
- A month is a calendar month: 31 December plus two months is the last day of February.
- The time of day is kept on the customer's clock; where that clock shows it twice the later instant
  is meant, and where it skips it the instant after the gap: a term never ends early.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from um.core.errors import InvalidError


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises InvalidError."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise InvalidError(f"There is no time zone {name!r}", why="zone", name=name) from error


def add_months(start: datetime, months: int, zone_name: str) -> datetime:
    """The instant `months` calendar months after `start`, as the clocks of that zone count.

    Args:
        start: aware.
        months: not negative.
        zone_name: IANA name.

    Returns the instant in UTC. Raises InvalidError for an unknown zone.
    """
    local = start.astimezone(zone(zone_name))
    years, month = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month + 1
    day = min(local.day, monthrange(year, month)[1])
    wall = local.replace(year=year, month=month, day=day)
    return max(wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def latest_hour(now: datetime, hour: int, zone_name: str) -> datetime:
    """The latest instant, not after `now`, at which the clocks of that zone showed that full hour.

    In UTC. On the day that skips the hour it is the instant after the gap.
    """
    local = now.astimezone(zone(zone_name))
    wall = local.replace(hour=hour, minute=0, second=0, microsecond=0, fold=0)
    if wall.astimezone(UTC) > now:
        wall -= timedelta(days=1)
    return wall.astimezone(UTC)
