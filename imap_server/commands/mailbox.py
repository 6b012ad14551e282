"""Mailboxes as such: SELECT to STATUS, without LIST and APPEND (RFC 3501 §6.3)."""

from collections.abc import Callable, Collection, Iterable, Mapping

from imap_server.commands.condstore import resynchronise
from imap_server.commands.list_line import line_of
from imap_server.context import Context, Reply
from imap_server.selected import Selected
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.tokens import BadCommandError
from um.core.ids import MailboxId
from um.core.message import MailboxStatus
from um.service.mailbox_index import MailboxIndex


async def select(context: Context, command: c.Select) -> Reply:
    """RFC 3501 §6.3.1, §6.3.2: whatever comes of it, the former mailbox is no longer selected."""
    if command.known is not None and not context.qresync:
        raise BadCommandError("ENABLE QRESYNC first")
    if context.selected is not None:
        context.write(_CLOSED)
        context.select(None)
    if command.condstore or command.known is not None:
        context.use_condstore()
    read_only = command.read_only or context.read_only
    rev2 = context.rev2
    hints = context.services.registry.hints
    snapshot = await context.mailboxes.open(
        context.account_id, command.mailbox, claim_recent=not (read_only or rev2)
    )
    mailbox = snapshot.mailbox
    view = Selected(
        snapshot.index,
        recent_after=snapshot.recent_after,
        read_only=read_only,
        condstore="CONDSTORE" in context.enabled,
        qresync=context.qresync,
        tells_recent=not rev2,
    )
    listed = await line_of(context, mailbox.name, command.written) if rev2 else b""
    context.write(
        view.flags_line()
        + view.exists_line()
        + (listed if rev2 else _unseen(snapshot.index))
        + _NUMBERS
        % (
            mailbox.uidvalidity,
            mailbox.uidnext,
            mailbox.highest_modseq,
            mailbox.id.encode("ascii"),
        )
    )
    if command.known is not None:
        await resynchronise(context, view, command.known, mailbox.uidvalidity)
    # What was committed before the snapshot is in it, and what came later is told by a hint: by one
    # that comes when we watch already, or is among those that came meanwhile.
    context.select(view, stale=context.services.registry.hints != hints)
    name = "EXAMINE" if command.read_only else "SELECT"
    return Reply(f"{name} completed", code=b"READ-ONLY" if read_only else b"READ-WRITE")


def _unseen(index: MailboxIndex) -> bytes:
    first = index.first_unseen
    return b"" if first is None else _ok("First unseen", b"UNSEEN %d" % first)


def _ok(text: str, code: bytes) -> bytes:
    return responses.status(b"*", b"OK", text, code=code)


_CLOSED = _ok("Previous mailbox is closed", b"CLOSED")
_NUMBERS = (
    _ok("UIDs valid", b"UIDVALIDITY %d")
    + _ok("Predicted next UID", b"UIDNEXT %d")
    + _ok("Highest mod-sequence", b"HIGHESTMODSEQ %d")
    + _ok("Mailbox identifier", b"MAILBOXID (%b)")
)
"""What SELECT tells of a mailbox's own row."""


async def create(context: Context, command: c.Create) -> Reply:
    """RFC 3501 §6.3.3, RFC 6154 §3; superior names are made too, without a special use."""
    mailbox = await context.mailboxes.create(context.account_id, command.mailbox, uses=command.uses)
    if context.rev2 and command.written != mailbox.name:
        context.write(await line_of(context, mailbox.name, command.written))
    return Reply("CREATE completed", code=_mailbox_id(mailbox.id))


def _mailbox_id(mailbox_id: MailboxId) -> bytes:
    """RFC 8474 §4."""
    return b"MAILBOXID (" + mailbox_id.encode("ascii") + b")"


async def delete(context: Context, command: c.Delete) -> Reply:
    """RFC 3501 §6.3.4. Deleting the mailbox one is in leaves it first."""
    if context.selected is not None:
        mailbox = await context.mailboxes.find(context.account_id, command.mailbox)
        await context.mailboxes.delete(context.account_id, command.mailbox)
        if mailbox.id == context.selected.mailbox_id:
            context.select(None)
    else:
        await context.mailboxes.delete(context.account_id, command.mailbox)
    return Reply("DELETE completed")


async def rename(context: Context, command: c.Rename) -> Reply:
    """RFC 3501 §6.3.5."""
    await context.mailboxes.rename(context.account_id, command.mailbox, command.target)
    if context.rev2 and command.written != command.target:
        context.write(await line_of(context, command.target, command.mailbox))
    return Reply("RENAME completed")


async def subscribe(context: Context, command: c.Subscribe) -> Reply:
    """RFC 3501 §6.3.6, §6.3.7: a name to be subscribed must be there, one to be dropped need not."""
    if command.on:
        await context.mailboxes.find(context.account_id, command.mailbox)
    await context.mailboxes.subscribe(context.account_id, command.mailbox, on=command.on)
    return Reply("SUBSCRIBE completed" if command.on else "UNSUBSCRIBE completed")


_STATUS: Mapping[str, Callable[[MailboxStatus], int]] = {
    "MESSAGES": lambda status: status.messages,
    "RECENT": lambda status: status.recent,
    "UIDNEXT": lambda status: status.uidnext,
    "UIDVALIDITY": lambda status: status.uidvalidity,
    "UNSEEN": lambda status: status.unseen,
    "SIZE": lambda status: status.size_octets,
    "DELETED": lambda status: status.deleted,
    "HIGHESTMODSEQ": lambda status: status.highest_modseq,
    "DELETED-STORAGE": lambda status: status.deleted_octets,
}


async def status(context: Context, command: c.Status) -> Reply:
    """RFC 3501 §6.3.10, RFC 8438 SIZE, RFC 9208 §4.1.4, RFC 7889 §3.1."""
    mailbox = await context.mailboxes.find(context.account_id, command.mailbox)
    found = await context.mailboxes.status(context.account_id, command.mailbox)
    values = status_values(context, command.items, found, mailbox.id)
    context.write(status_line(command.mailbox, values, utf8=context.utf8))
    return Reply("STATUS completed")


def status_values(
    context: Context,
    items: Collection[str],
    found: MailboxStatus,
    mailbox_id: MailboxId,
    *,
    asked: bool = True,
) -> list[bytes]:
    """Each item with its value. Who asks for mod-sequences wants them (RFC 7162 §3.1)."""
    if asked and "HIGHESTMODSEQ" in items:
        context.use_condstore()
    values = []
    for item in items:
        if item == "MAILBOXID":
            values.append(_mailbox_id(mailbox_id))
            continue
        value = context.mailboxes.append_octets if item == "APPENDLIMIT" else _STATUS[item](found)
        values.append(b"%b %d" % (item.encode("ascii"), value))
    return values


def status_line(name: str, values: Iterable[bytes], *, utf8: bool) -> bytes:
    """`* STATUS name (item value …)`."""
    written = responses.mailbox(name, utf8=utf8)
    return responses.untagged(b"STATUS", written, responses.parenthesized(values))
