"""What leaves the house, to whom, how often it is tried, and what never does (product: Self-care).

Laws:
- Nothing goes to an address that was not confirmed; at most MAX_ADDRESSES of an account are kept.
- A message that has been here before, or has come too far, or that a robot wrote in answer, is kept
  and never copied: so no two mailboxes can send each other the same thing for ever.
- Nothing is ever written to the null sender: what comes to the envelope sender is noted, not answered.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from um.core.forwarding import (
    AddressState,
    AfterCopy,
    CopyMode,
    CopyRule,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
)
from um.core.message import MessageKind

MAX_ADDRESSES = 5
MAX_ADDRESS_OCTETS = 254
"""RFC 5321 §4.5.3.1.3, erratum 1690."""
CONFIRMATION_AGE = timedelta(days=3)
"""How long the link in a confirmation opens."""
MAX_CONFIRMATIONS = 10
"""Mails with such a link in 24 hours: nobody shall use us to write to strangers."""
CONFIRMATION_WINDOW = timedelta(hours=24)

FIRST_RETRY = timedelta(minutes=1)
LAST_RETRY = timedelta(hours=4)
GIVE_UP_AFTER = timedelta(days=5)
LEAST_ATTEMPTS = 8
"""Two hours of them: nothing is given up because we, or the clock, were away for five days."""
KEPT_AFTER_END = timedelta(days=14)
"""How long a row is known after its end: mail comes back days later."""

MAX_ATTACHED_OCTETS = 20 * 1024 * 1024
"""Of the parts as they are encoded; what is more goes as a link."""
LINK_AGE = timedelta(days=30)

MAX_RECEIVED = 30
"""As `um.smtp` counts hops (RFC 5321 §6.3 wants no fewer than 100 nowhere, and Sendmail took 25)."""
HARD_BOUNCES = 3
"""So many in a row, and an address is not written to any more."""
BOUNCE_WINDOW = timedelta(days=7)

KINDS = (MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE)
"""What an owner has a rule for; ordinary mail is never copied."""

_STATUS = re.compile(r"\b5\.(\d{1,3})\.(\d{1,3})\b")
_OF_THE_SENDER = frozenset({"5.1.7", "5.1.8"})
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_LOCAL}(?:\.{_LOCAL})*@{_LABEL}(?:\.{_LABEL})+")


def is_address(text: str) -> bool:
    """Whether it is a plain address of RFC 5321 (dot-string, no literal, no comment), in ASCII.

    So neither a line end nor an angle bracket can stand in one.
    """
    local = text.rpartition("@")[0]
    return len(text) <= MAX_ADDRESS_OCTETS and len(local) <= 64 and bool(_ADDRESS.fullmatch(text))


def rule_key(kind: MessageKind) -> str:
    """The preference that keeps the rule of a kind."""
    return f"forward.{kind}"


def read_rule(preferences: Mapping[str, str], kind: MessageKind) -> CopyRule:
    """The owner's rule for a kind; one that makes no sense is off."""
    mode, _, after = preferences.get(rule_key(kind), "").partition(",")
    try:
        return CopyRule(CopyMode(mode or CopyMode.OFF), AfterCopy(after or AfterCopy.KEEP))
    except ValueError:
        return CopyRule()


def write_rule(rule: CopyRule) -> str | None:
    """The preference's value; None for a rule that is the default."""
    return None if rule == CopyRule() else f"{rule.mode},{rule.after}"


def rule_for(preferences: Mapping[str, str], kind: MessageKind) -> CopyRule:
    """What a delivery of that kind goes by: a notice is told of wherever there is an address."""
    if kind is MessageKind.NOTICE:
        return CopyRule(CopyMode.NOTIFY)
    return read_rule(preferences, kind) if kind in KINDS else CopyRule()


def targets(addresses: Iterable[ForwardAddress]) -> list[ForwardAddress]:
    """Those that may be written to, oldest first, never more than MAX_ADDRESSES."""
    return [each for each in addresses if each.state is AddressState.CONFIRMED][:MAX_ADDRESSES]


def reset_targets(
    addresses: Iterable[ForwardAddress], confirmed_before: datetime
) -> list[ForwardAddress]:
    """Those that a link for a forgotten password may go to; the notice of a newer one can be seen."""
    return [
        each
        for each in targets(addresses)
        if each.confirmed_at is not None and each.confirmed_at <= confirmed_before
    ]


@dataclass(frozen=True, slots=True)
class Trace:
    """What a message's header tells of its way."""

    delivered_to: Collection[str] = ()
    """Addresses of its Delivered-To fields."""
    received: int = 0
    auto_submitted: str = "no"
    """RFC 3834 §5."""


def may_copy(trace: Trace, own: Collection[str]) -> bool:
    """Whether a message may be sent on at all.

    Args:
        trace: of its header.
        own: the addresses of the mailbox it is in, in small letters.

    What a program sends by itself (an invoice: `auto-generated`) is welcome; what answers a mail is not.
    """
    seen = {address.strip().strip("<>").lower() for address in trace.delivered_to}
    answered = trace.auto_submitted.partition(";")[0].strip().lower() == "auto-replied"
    return seen.isdisjoint(own) and trace.received < MAX_RECEIVED and not answered


def next_try(attempts: int, created_at: datetime, now: datetime) -> datetime | None:
    """When to try again after `attempts` (1 or more) that failed; None: give up.

    1, 2, 4 … minutes, at most 4 hours; the last try is five days after the first, and the eighth at
    the soonest.
    """
    end = created_at + GIVE_UP_AFTER
    again = now + min(FIRST_RETRY * (1 << min(attempts - 1, 16)), LAST_RETRY)
    if now < end:
        return min(again, end)
    return again if attempts < LEAST_ATTEMPTS else None


def mode_for(mode: CopyMode, attached_octets: int) -> CopyMode:
    """The mode that a copy really has: what is too large to attach is linked."""
    if mode is CopyMode.ATTACH and attached_octets > MAX_ATTACHED_OCTETS:
        return CopyMode.LINK
    return mode


def after_copies(rows: Collection[OutboxEntry]) -> AfterCopy:
    """What becomes of the message now, given all rows that copy it.

    Only when the relay has taken every copy; one that failed leaves the message as it is. What was
    cancelled does not count.
    """
    counted = [row for row in rows if row.state is not OutboxState.CANCELLED]
    if any(row.state is not OutboxState.DONE for row in counted):
        return AfterCopy.KEEP
    wanted = {row.after for row in counted} | {AfterCopy.KEEP}
    return next(
        each for each in (AfterCopy.TRASH, AfterCopy.SEEN, AfterCopy.KEEP) if each in wanted
    )


def blames_address(words: str) -> bool:
    """Whether a refusal is the address's own fault, by its enhanced status code (RFC 3463 §3.2, §3.3).

    A mail that was too large or looked like spam says nothing of the next one. 5.1.7 and 5.1.8 are
    said of the sender: an operator's to mend, for all owners at once.
    """
    found = _STATUS.search(words)
    if found is None or found[0] in _OF_THE_SENDER:
        return False
    return found[1] == "1" or found[0] == "5.2.1"


def bounces_now(address: ForwardAddress, now: datetime) -> int:
    """The hard bounces in a row with one that came now; an old one is forgotten."""
    recent = address.bounced_at is not None and now - address.bounced_at <= BOUNCE_WINDOW
    return address.bounces + 1 if recent else 1
