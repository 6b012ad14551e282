"""NOTIFY (RFC 5465): changes are told as they happen, of the mailboxes and in the kinds asked for.

Laws:
- What is told comes from hints and a new look (`watching`), so that changes of other processes,
  of the telephone and of this session count alike.
- Between commands nothing is told of the selected mailbox that was not asked for; while a command
  runs it is told all, as ever, so that message numbers never lie.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from imap_server.commands.fetch import tell_items
from imap_server.commands.list_line import known, line
from imap_server.commands.mailbox import status_line, status_values
from imap_server.context import Context, Reply
from imap_server.errors import UnknownEventError
from imap_server.listing import Choice, Listed, list_mailboxes
from imap_server.selected import Selected
from imap_server.watching import (
    Difference,
    Look,
    NameChanged,
    NotesChanged,
    ParentChanged,
    StatusChanged,
    SubscriptionChanged,
    differences,
    events_of,
)
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.notify import EVENTS
from um.core.errors import NotFoundError, UMError
from um.core.ids import MailboxId, Uid
from um.core.message import MailboxStatus
from um.service.mailboxes import Folder

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Watch:
    """What a client wants to be told of, and what it knows."""

    groups: tuple[c.EventGroup, ...]
    selected: c.EventGroup | None
    look: Look = field(default_factory=Look)
    folders: list[Folder] = field(default_factory=list)
    listed: dict[str, Listed] | None = None
    """`folders` as LIST tells them, once they are needed."""
    stale: set[MailboxId] = field(default_factory=set)
    """Folders that hints have named since the last look."""
    all_stale: bool = False
    names_stale: bool = False
    """Whether the one that is selected may have another name (RFC 5465 §5.4)."""
    behind: bool = False
    view: Selected | None = None
    told: Uid = Uid(0)
    """New messages of `view` up to here have been told with their items."""

    @property
    def tells_names(self) -> bool:
        """Whether names that change are asked for."""
        return any("MailboxName" in group.events for group in self.groups)

    def mailbox_changed(self, mailbox_id: MailboxId) -> None:
        """A hint: something happened to a folder of the account."""
        self.stale.add(mailbox_id)
        self.names_stale = True

    def account_changed(self) -> None:
        """A hint: something happened to the account, subscriptions and notes among it."""
        self.all_stale = True


async def notify(context: Context, command: c.Notify) -> Reply:
    """RFC 5465 §3.1."""
    unknown = {event for group in command.groups for event in group.events} - set(EVENTS)
    if unknown:
        raise UnknownEventError
    context.watch_all(None)
    if command.groups:
        chosen = [group for group in command.groups if group.mailboxes.startswith("SELECTED")]
        watch = Watch(command.groups, chosen[0] if chosen else None)
        context.watch_all(watch)
        await _look(context, watch, statuses_of=None)
        if command.status:
            _write_statuses(context, watch)
        _begin_view(context, watch)
    return Reply("NOTIFY completed")


async def tell(context: Context, *, idle: bool = False) -> None:
    """Tell what has happened, between commands or in IDLE."""
    watch = context.watch
    if not isinstance(watch, Watch) or context.append is not None:
        return
    watch.behind = False
    try:
        await _tell_selected(context, watch, idle=idle)
        await _tell_unselected(context, watch)
    except UMError as error:
        watch.behind = True
        log.warning("not told", error=error.public)
    await context.drain()


async def _tell_unselected(context: Context, watch: Watch) -> None:
    selected = None if context.selected is None else context.selected.mailbox_id
    stale = watch.stale - {selected}
    if selected is not None and watch.names_stale and watch.tells_names:
        watch.names_stale = False  # before the look: a hint during it counts
        try:
            name = await _name_of(context, selected)
        except UMError:
            watch.names_stale = True
            raise
        watch.all_stale = watch.all_stale or name != watch.look.names.get(selected)
    if watch.all_stale or stale:
        await _tell_others(context, watch, stale)


async def _name_of(context: Context, mailbox_id: MailboxId) -> str | None:
    try:
        return (await context.mailboxes.row(context.account_id, mailbox_id)).name
    except NotFoundError:
        return None


# -- the selected mailbox -------------------------------------------------------------------------


def _begin_view(context: Context, watch: Watch) -> None:
    """New messages count from here."""
    view = watch.view = context.selected
    watch.told = Uid(0) if view is None or not view.uids else view.uids[-1]


async def _tell_selected(context: Context, watch: Watch, *, idle: bool) -> None:
    group = watch.selected
    if watch.view is not context.selected:
        _begin_view(context, watch)
    if group is None or "MessageNew" not in group.events or context.selected is None:
        return
    view = context.selected
    await context.refresh()
    expunge = idle or group.mailboxes == "SELECTED"
    context.write(view.announce(expunge=expunge, flags="FlagChange" in group.events))
    arrived = view.uids[bisect_right(view.uids, watch.told) :]
    if arrived:
        if group.items:
            await tell_items(context, arrived, group.items)
        watch.told = arrived[-1]


# -- all others -----------------------------------------------------------------------------------


async def _tell_others(context: Context, watch: Watch, stale: set[MailboxId]) -> None:
    before = watch.look
    watch.stale -= stale
    watch.all_stale = watch.names_stale = False
    try:
        await _look(context, watch, statuses_of=stale)
    except UMError:
        watch.stale |= stale
        watch.all_stale = True
        raise
    condstore = "CONDSTORE" in context.enabled
    watch.listed = None
    for found in differences(watch.groups, before, watch.look, condstore=condstore):
        context.write(_line(context, watch, found))
        await context.drain()


async def _look(context: Context, watch: Watch, *, statuses_of: set[MailboxId] | None) -> None:
    """Look again: at all folders, and at the counts of these, or of all (None)."""
    mailboxes, account_id = context.mailboxes, context.account_id
    folders = await mailboxes.folders(account_id)
    subscribed = frozenset(await mailboxes.subscriptions(account_id))
    names = {folder.mailbox.id: folder.mailbox.name for folder in folders}
    wanted = {
        mailbox_id: name
        for mailbox_id, name in names.items()
        if (statuses_of is None or mailbox_id in statuses_of or mailbox_id not in watch.look.names)
        and "MessageNew" in events_of(watch.groups, name, subscribed=name in subscribed)
    }
    statuses = {
        mailbox_id: status
        for mailbox_id, status in watch.look.statuses.items()
        if mailbox_id in names
    }
    if wanted:
        counted = await mailboxes.statuses(account_id, wanted.values())
        statuses |= {key: counted[name] for key, name in wanted.items() if name in counted}
    notes: Mapping[MailboxId | None, Mapping[str, bytes]] = {}
    if any(event.endswith("MetadataChange") for group in watch.groups for event in group.events):
        notes = await mailboxes.annotations.everything(account_id)
    watch.folders = folders
    watch.look = Look(names, subscribed, statuses, notes)


def _write_statuses(context: Context, watch: Watch) -> None:
    """RFC 5465 §3.1: what is watched, before the OK."""
    selected = None if context.selected is None else context.selected.mailbox_id
    for mailbox_id, status in watch.look.statuses.items():
        if mailbox_id == selected:
            continue
        name = watch.look.names[mailbox_id]
        subscribed = name in watch.look.subscribed
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
        if "FlagChange" in events_of(watch.groups, name, subscribed=subscribed):
            items.append("HIGHESTMODSEQ")
        context.write(_status(context, name, mailbox_id, items, status))


def _status(
    context: Context,
    name: str,
    mailbox_id: MailboxId,
    items: Iterable[str],
    status: MailboxStatus,
) -> bytes:
    values = status_values(context, tuple(items), status, mailbox_id, asked=False)
    return status_line(name, values, utf8=context.utf8)


def _line(context: Context, watch: Watch, found: Difference) -> bytes:
    match found:
        case NameChanged(old, None):
            assert old is not None, "it had a name"
            return _list_gone(context, watch, old)
        case NameChanged(old, new):
            assert new is not None, "it has a name"
            return _list(context, watch, new, old_name=old)
        case SubscriptionChanged(name) | ParentChanged(name):
            return _list(context, watch, name)
        case StatusChanged(mailbox_id, name, items):
            status = watch.look.statuses[mailbox_id]
            return _status(context, name, mailbox_id, items, status)
        case NotesChanged(name, entries):
            written = [responses.astring(entry.encode("ascii")) for entry in entries]
            place = responses.mailbox(name, utf8=context.utf8)
            return responses.untagged(b"METADATA", place, *written)


def _list(context: Context, watch: Watch, name: str, *, old_name: str | None = None) -> bytes:
    """A folder with all its attributes, or a name that is only subscribed."""
    subscribed = watch.look.subscribed
    if watch.listed is None:
        choice = Choice(extended=True, show_subscribed=True)
        found = list_mailboxes(
            known(watch.folders), "", ["*"], subscribed=subscribed, choice=choice
        )
        watch.listed = {each.name: each for each in found}
    listed = watch.listed.get(name)
    if listed is None:
        return _list_gone(context, watch, name)
    return line(b"LIST", listed, utf8=context.utf8, old_name=old_name)


def _list_gone(context: Context, watch: Watch, name: str) -> bytes:
    """A name without a folder; it may be subscribed all the same."""
    attributes = [b"\\NonExistent"]
    if name in watch.look.subscribed:
        attributes.append(b"\\Subscribed")
    return responses.list_line(b"LIST", attributes, name, utf8=context.utf8)
