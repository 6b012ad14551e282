"""When things go for good: Trash, held numbers, quarantine, ingest keys, and what rules say.

Of the rules: there is none by itself; an account's own word on a kind goes before the operator's;
and a rule does nothing before a day has passed since somebody saw what it would do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from um.core.account import Account, AccountState
from um.core.errors import InvalidError
from um.core.message import MessageKind
from um.core.retention import KINDS, RetentionRule, parse_rule
from um.policy.calendar import add_months

QUARANTINE_DAYS = 30
ORPHAN_BLOB_AGE = timedelta(hours=24)
"""A blob that no row names may belong to a delivery in progress until it is this old."""
MAIL_INGEST_AGE = timedelta(hours=24)
"""How long the key of a mail is remembered: after that the same mail sent again shall arrive."""
REPLAY_AGE = timedelta(days=30)
"""How long the key of a voice message or fax is: as long as a spool may wait for its replay."""

KEEP = "keep"
"""An account's word against the operator's rule."""
SECOND_THOUGHTS = timedelta(hours=24)
"""How long a rule rests after its first dry run was shown: time to take it back."""


@dataclass(frozen=True, slots=True)
class StandingRule:
    """A rule as it stands for one account."""

    rule: RetentionRule
    own: bool
    """The account's own, not the operator's for all."""
    shown_at: datetime | None
    """When its dry run was first shown; None: never, so it does nothing yet."""

    def in_force(self, now: datetime) -> bool:
        """Whether it is carried out."""
        return self.shown_at is not None and now - self.shown_at >= SECOND_THOUGHTS


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for an account about one kind; nothing of it: the operator's rule holds."""

    rule: RetentionRule | None = None
    keep: bool = False
    """Everything of that kind stays."""
    damaged: bool = False
    """The word cannot be read, so that everything stays until another is chosen."""


def preference_key(kind: MessageKind) -> str:
    """Under which preference an account's rule on that kind stands: a rule, or KEEP."""
    return f"retention.{kind}"


def shown_key(kind: MessageKind) -> str:
    """Under which preference (of the operator's rules: mark) it stands when the rule was shown."""
    return f"retention.{kind}.shown"


PREFERENCES = tuple(key for kind in KINDS for key in (preference_key(kind), shown_key(kind)))


def note_shown(rule: RetentionRule, at: datetime) -> str:
    """The note that the rule's dry run was shown. It counts for this very rule only."""
    return f"{at.isoformat()} {rule}"


def shown_at(rule: RetentionRule, note: str | None) -> datetime | None:
    """When the rule's dry run was first shown, by the note; None if the note is of another rule.

    A note that cannot be read is none: the rule rests until it is shown again.
    """
    instant, _, text = (note or "").partition(" ")
    if text != str(rule):
        return None
    try:
        at = datetime.fromisoformat(instant)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def read_choice(kind: MessageKind, text: str | None) -> Choice:
    """What an account's word on that kind means."""
    if text is None or text == KEEP:
        return Choice(keep=text == KEEP)
    try:
        rule = parse_rule(text)
    except InvalidError:
        return Choice(damaged=True)
    return Choice(rule) if rule.kind is kind else Choice(damaged=True)


def standing_rules(
    operators: Mapping[MessageKind, StandingRule], chosen: Mapping[str, str]
) -> list[StandingRule]:
    """The rules for an account with these preferences; what cannot be read keeps everything."""
    found = []
    for kind in KINDS:
        choice = read_choice(kind, chosen.get(preference_key(kind)))
        if choice.rule is not None:
            at = shown_at(choice.rule, chosen.get(shown_key(kind)))
            found.append(StandingRule(choice.rule, True, at))
        elif choice == Choice() and kind in operators:
            found.append(operators[kind])
    return found


def may_expire(account: Account) -> bool:
    """Whether rules touch the account at all: only an active one, under no legal hold."""
    return account.state is AccountState.ACTIVE and account.legal_hold_at is None


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
