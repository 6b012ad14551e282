"""What NOTIFY tells of mailboxes that are not selected: two looks compared (RFC 5465 §5).

Pure. Hints say only that something may have happened, so that nothing is told twice, and what was
undone between two looks is not told at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imap_server.listing import DELIMITER, parents_of
from imap_server.wire.commands import EventGroup
from um.core.ids import MailboxId
from um.core.message import MailboxStatus


@dataclass(frozen=True, slots=True)
class Look:
    """All that may be told of, at one time."""

    names: Mapping[MailboxId, str] = field(default_factory=dict)
    subscribed: frozenset[str] = frozenset()
    statuses: Mapping[MailboxId, MailboxStatus] = field(default_factory=dict)
    notes: Mapping[MailboxId | None, Mapping[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NameChanged:
    """`old` became `new`; one of them None: made, or removed."""

    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class ParentChanged:
    """A folder right below the name was made or removed; whether the name is a folder matters not."""

    name: str


@dataclass(frozen=True, slots=True)
class SubscriptionChanged:
    """The name was subscribed, or is no longer."""

    name: str


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """These items of STATUS are others now."""

    mailbox_id: MailboxId
    name: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotesChanged:
    """These entries were set or removed; the empty name is the account's own."""

    name: str
    entries: tuple[str, ...]


Difference = NameChanged | ParentChanged | SubscriptionChanged | StatusChanged | NotesChanged


def events_of(groups: Sequence[EventGroup], name: str, *, subscribed: bool) -> frozenset[str]:
    """What is to be told of a mailbox: all groups that mean it count (RFC 5465 §6)."""
    return frozenset(
        event
        for group in groups
        if _means(group, name, subscribed=subscribed)
        for event in group.events
    )


def _means(group: EventGroup, name: str, *, subscribed: bool) -> bool:
    match group.mailboxes:
        case "PERSONAL" | "INBOXES":
            return True
        case "SUBSCRIBED":
            return subscribed
        case "MAILBOXES":
            return name in group.names
        case "SUBTREE":
            return not group.names.isdisjoint((name, *parents_of(name)))
        case _:
            return False


def differences(
    groups: Sequence[EventGroup], before: Look, after: Look, *, condstore: bool
) -> Iterator[Difference]:
    """What of the changes between two looks was asked for."""
    yield from _names(groups, before, after)
    for name in sorted(before.subscribed ^ after.subscribed):
        if "SubscriptionChange" in events_of(groups, name, subscribed=True):
            yield SubscriptionChanged(name)
    for mailbox_id, name in after.names.items():
        events = events_of(groups, name, subscribed=name in after.subscribed)
        yield from _status(mailbox_id, name, events, before, after, condstore=condstore)
        if "MailboxMetadataChange" in events:
            yield from _notes(name, mailbox_id, before, after)
    if any("ServerMetadataChange" in group.events for group in groups):
        yield from _notes("", None, before, after)


def _names(
    groups: Sequence[EventGroup], before: Look, after: Look
) -> Iterator[NameChanged | ParentChanged]:
    """RFC 5465 §5.4: what is below a folder that is renamed goes without saying."""

    def asked(name: str | None, look: Look) -> bool:
        return name is not None and "MailboxName" in events_of(
            groups, name, subscribed=name in look.subscribed
        )

    changed = [
        NameChanged(old, new)
        for mailbox_id in dict.fromkeys((*before.names, *after.names))
        if (old := before.names.get(mailbox_id)) != (new := after.names.get(mailbox_id))
        and (asked(old, before) or asked(new, after))
    ]
    renamed = {each.old: each.new for each in changed if each.old and each.new}
    yield from (each for each in changed if not _goes_without_saying(each, renamed))
    named = {name for each in changed for name in (each.old, each.new)}
    alone = _made_or_removed(before, after)
    above = dict.fromkeys(parents_of(name)[-1] for name in alone if DELIMITER in name)
    yield from (ParentChanged(name) for name in above if name not in named and asked(name, after))


def _made_or_removed(before: Look, after: Look) -> Iterator[str]:
    for look, other in ((before, after), (after, before)):
        for mailbox_id, name in look.names.items():
            if mailbox_id not in other.names:
                yield name


def _goes_without_saying(change: NameChanged, renamed: Mapping[str, str]) -> bool:
    """Whether it is renamed since a folder above it is."""
    if change.old is None or change.new is None:
        return False
    return any(
        above in renamed and change.new == renamed[above] + change.old[len(above) :]
        for above in parents_of(change.old)
    )


def _status(
    mailbox_id: MailboxId,
    name: str,
    events: frozenset[str],
    before: Look,
    after: Look,
    *,
    condstore: bool,
) -> Iterator[StatusChanged]:
    old, new = before.statuses.get(mailbox_id), after.statuses.get(mailbox_id)
    if "MessageNew" not in events or new is None or old == new:
        return
    # A folder that was not there was empty; INBOX, renamed, makes one that is not.
    uidnext, messages, unseen = (old.uidnext, old.messages, old.unseen) if old else (1, 0, 0)
    items: list[str] = []
    if uidnext != new.uidnext or messages != new.messages:
        items += ["MESSAGES", "UIDNEXT"]
    if "FlagChange" in events and unseen != new.unseen:
        items.append("UNSEEN")
    flags_only = old is not None and not items and "FlagChange" in events
    modseq = old.highest_modseq if old else None
    if condstore and (items or flags_only) and modseq != new.highest_modseq:
        items += ["UIDVALIDITY", "HIGHESTMODSEQ"]
    if items:
        yield StatusChanged(mailbox_id, name, tuple(items))


def _notes(
    name: str, mailbox_id: MailboxId | None, before: Look, after: Look
) -> Iterator[NotesChanged]:
    old, new = before.notes.get(mailbox_id, {}), after.notes.get(mailbox_id, {})
    changed = sorted(entry for entry in {*old, *new} if old.get(entry) != new.get(entry))
    if changed:
        yield NotesChanged(name, tuple(changed))
