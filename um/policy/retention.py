"""When things that were put aside go for good: Trash, held numbers, quarantine, ingest keys."""

from datetime import datetime, timedelta

from um.core.message import MessageKind
from um.policy.calendar import add_months

QUARANTINE_DAYS = 30
ORPHAN_BLOB_AGE = timedelta(hours=24)
"""A blob that no row names may belong to a delivery in progress until it is this old."""
MAIL_INGEST_AGE = timedelta(hours=24)
"""How long the key of a mail is remembered: after that the same mail sent again shall arrive."""
REPLAY_AGE = timedelta(days=30)
"""How long the key of a voice message or fax is: as long as a spool may wait for its replay."""


def ingest_dated(kind: MessageKind, now: datetime) -> datetime:
    """The instant to remember an ingest key under, so that one cut-off serves all kinds.

    Keys dated before `now - MAIL_INGEST_AGE` are forgotten; what may be replayed is dated later.
    """
    if kind in (MessageKind.VOICE, MessageKind.FAX):
        return now + REPLAY_AGE - MAIL_INGEST_AGE
    return now


def trash_cutoff(now: datetime, days: int) -> datetime | None:
    """What was put into Trash before this instant goes; None if the rule is switched off (0)."""
    return now - timedelta(days=days) if days > 0 else None


def hold_until(stopped_at: datetime, months: int, zone_name: str) -> datetime:
    """Until when a number that stopped serving is kept from other accounts."""
    return add_months(stopped_at, months, zone_name)
