"""How long a portal session lives: 30 minutes without use (product), 12 hours in all."""

from datetime import datetime, timedelta

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
TOUCH_EVERY = timedelta(minutes=1)
"""A use is noted at most so often: a page that loads ten pictures writes one row, not ten."""


def alive(*, opened_at: datetime, used_at: datetime, now: datetime) -> bool:
    """Whether a session still opens the door."""
    return now < used_at + IDLE and now < opened_at + LONGEST


def touch_due(*, used_at: datetime, now: datetime) -> bool:
    """Whether a use has to be noted."""
    return now >= used_at + TOUCH_EVERY
