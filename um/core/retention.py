"""Rules by which messages go of themselves, as values and as the sentences that people write.

There are none unless an operator or an owner makes one: `voice older than 60 days and heard -> Trash`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from um.core.errors import InvalidError
from um.core.message import MessageKind

KINDS = (MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE, MessageKind.MAIL)
"""Of what there may be a rule, one each. Notices are few, and say why there is no room."""
MAX_DAYS = 36_525
_RULE = re.compile(
    rf"(?P<kind>{'|'.join(KINDS)}) older than (?P<days>[0-9]{{1,5}}) days?"
    r"(?P<heard> and (?:heard|read|seen))? ?-> ?(?P<action>trash|delete)",
    re.IGNORECASE,
)


class Action(StrEnum):
    """What becomes of a message whose time is over."""

    TRASH = "Trash"
    """As if its owner had deleted it by phone: it can be restored for some days."""
    DELETE = "delete"
    """Gone for good."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Messages of one kind go when they have lain in a folder for so many days.

    Counted from SAVEDATE (RFC 8514): what is moved to another folder begins anew there.
    """

    kind: MessageKind
    older_than_days: int
    heard_only: bool = False
    r"""Only what is \Seen: heard, or read."""
    action: Action = Action.TRASH

    def __str__(self) -> str:
        heard = " and heard" if self.heard_only else ""
        return f"{self.kind} older than {self.older_than_days} days{heard} -> {self.action}"

    def cutoff(self, now: datetime) -> datetime:
        """What was saved before this instant goes."""
        return now - timedelta(days=self.older_than_days)


def parse_rule(text: str) -> RetentionRule:
    """The rule that `str` of it gives; blanks and case do not matter. Raises InvalidError."""
    match = _RULE.fullmatch(" ".join(text.split()))
    if match is None:
        example = RetentionRule(MessageKind.VOICE, 60, heard_only=True)
        raise InvalidError(f"{text[:80]!r} is no rule such as {str(example)!r}")
    days = int(match["days"])
    if not 1 <= days <= MAX_DAYS:
        raise InvalidError(f"A rule's days are 1 to {MAX_DAYS}")
    action = Action.DELETE if match["action"].lower() == Action.DELETE else Action.TRASH
    kind = MessageKind(match["kind"].lower())
    return RetentionRule(kind, days, heard_only=match["heard"] is not None, action=action)
