"""NOTIFY as written (RFC 5465 §8)."""

from collections.abc import Mapping

from imap_server.wire import commands as c
from imap_server.wire.fetch import FetchItem, parse_items
from imap_server.wire.names import mailbox
from imap_server.wire.tokens import BadCommandError, Scanner

MESSAGE_EVENTS = ("MessageNew", "MessageExpunge", "FlagChange")
EVENTS = (
    *MESSAGE_EVENTS,
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
)
"""All that are served, as they are told."""
MAX_GROUPS = 100
MAX_NAMES = 1000
_SPELLED: Mapping[str, str] = {event.upper(): event for event in EVENTS}
_SELECTED = ("SELECTED", "SELECTED-DELAYED")
_OTHERS = ("INBOXES", "PERSONAL", "SUBSCRIBED")
_NAMED = ("SUBTREE", "MAILBOXES")


def parse_notify(scan: Scanner) -> c.Notify:
    """`NONE`, or `SET [STATUS] (filter events) …`."""
    scan.space()
    word = scan.keyword()
    if word == b"NONE":
        return c.Notify(())
    if word != b"SET":
        raise BadCommandError("Expected SET or NONE")
    return _set(scan)


def _set(scan: Scanner) -> c.Notify:
    scan.space()
    status = scan.skip(b"STATUS ")
    groups = [_group(scan)]
    while scan.skip(b" "):
        groups.append(_group(scan))
        if len(groups) > MAX_GROUPS:
            raise BadCommandError("Too many event groups")
    if sum(group.mailboxes in _SELECTED for group in groups) > 1:
        raise BadCommandError("The selected mailbox may be named once")
    return c.Notify(tuple(groups), status=status)


def _group(scan: Scanner) -> c.EventGroup:
    scan.expect(b"(")
    mailboxes = scan.keyword().decode("ascii")
    names: list[str] = []
    if mailboxes in _NAMED:
        scan.space()
        names = scan.listed(lambda: mailbox(scan)) if scan.next_is(b"(") else [mailbox(scan)]
        if len(names) > MAX_NAMES:
            raise BadCommandError("Too many mailboxes")
    elif mailboxes not in (*_SELECTED, *_OTHERS):
        raise BadCommandError("Unknown mailbox specifier")
    scan.space()
    events, items = _events(scan)
    scan.expect(b")")
    _check(mailboxes, events, items)
    return c.EventGroup(mailboxes, frozenset(names), frozenset(events), items)


def _events(scan: Scanner) -> tuple[list[str], tuple[FetchItem, ...]]:
    """Known events in their own spelling, others as they were written; FETCH items of new messages."""
    if scan.skip(b"NONE"):
        return [], ()
    events: list[str] = []
    items: tuple[FetchItem, ...] = ()
    for _ in scan.each():
        written = scan.atom().decode("ascii")
        events.append(_SPELLED.get(written.upper(), written))
        if events[-1] == "MessageNew" and scan.skip(b" ("):
            items = parse_items(scan, opened=True)
        if len(events) > MAX_GROUPS:
            raise BadCommandError("Too many events")
    return events, items


def _check(mailboxes: str, events: list[str], items: tuple[FetchItem, ...]) -> None:
    """RFC 5465 §5, §6.1."""
    asked = {event for event in MESSAGE_EVENTS if event in events}
    if asked and not asked.issuperset(MESSAGE_EVENTS[:2]):
        raise BadCommandError("MessageNew and MessageExpunge go together")
    if mailboxes in _SELECTED:
        if any(event in EVENTS and event not in MESSAGE_EVENTS for event in events):
            raise BadCommandError("The selected mailbox has events of messages only")
    elif items:
        raise BadCommandError("FETCH items are for the selected mailbox only")
