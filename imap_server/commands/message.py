"""Messages of the selected mailbox: CHECK, CLOSE, EXPUNGE, STORE, COPY, MOVE (RFC 3501 §6.4)."""

from contextlib import suppress
from typing import TYPE_CHECKING

from imap_server.commands.condstore import expunged, modified
from imap_server.context import Context, Reply
from imap_server.rows import flag_lines
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.sequence import compress
from um.core.errors import LegalHoldError, ReadOnlyError
from um.core.ids import ModSeq, Uid
from um.service.mailboxes import GoneError, Transfer

if TYPE_CHECKING:
    from um.core.message import Entry


def _check_writable(context: Context) -> None:
    if context.view.read_only:
        raise ReadOnlyError


async def check(context: Context, _command: c.Check) -> Reply:
    """RFC 3501 §6.4.1: everything is durable already; the client gets what it polls for."""
    context.expect_change()
    return Reply("CHECK completed")


async def close(context: Context, command: c.Close) -> Reply:
    """RFC 3501 §6.4.2 CLOSE (expunges without a word) and RFC 3691 UNSELECT.

    CLOSE knows no NO: what may not be deleted stays, without a word too.
    """
    view = context.view
    if command.expunge and not view.read_only:
        with suppress(LegalHoldError):
            await context.mailboxes.expunge(context.account_id, view.mailbox_id)
    context.select(None)
    return Reply("CLOSE completed" if command.expunge else "UNSELECT completed")


async def expunge(context: Context, command: c.Expunge) -> Reply:
    """RFC 3501 §6.4.3, RFC 4315 §2.1."""
    _check_writable(context)
    view = context.view
    uids = None if command.uids is None else view.resolve(command.uids, by_uid=True)
    gone = await context.mailboxes.expunge(context.account_id, view.mailbox_id, uids=uids)
    view.expunged(gone)
    reply = Reply("EXPUNGE completed")
    return await expunged(context, reply) if gone else reply


async def store(context: Context, command: c.Store) -> Reply:
    """RFC 3501 §6.4.6. Messages that are gone: RFC 2180 §4.2."""
    _check_writable(context)
    view = context.view
    named = view.resolve(command.messages, by_uid=command.by_uid)
    uids = view.present(named)
    if command.unchanged_since is not None:
        context.use_condstore()
    entries: list[Entry] = []
    failed: list[Uid] = []
    if uids:
        stored = await context.mailboxes.store_flags(
            context.account_id,
            view.mailbox_id,
            uids=uids,
            operation=command.operation,
            flags=command.flags,
            unchanged_since=_modseq(command.unchanged_since),
        )
        entries, failed = stored.entries, stored.failed
        tell = view.stored(entries, command.operation, command.flags, silent=command.silent)
        context.took_in(stored.since, stored.modseq)
        context.write(flag_lines(view, tell))
    if view.condstore:
        context.expect_change()
        if command.silent:
            there = [each.uid for each in entries if each.uid in view.entries]
            context.write(b"".join([view.fetch_modseq(uid) for uid in there]))
    missed = len(entries) + len(failed) < len(named) and not command.by_uid and not command.silent
    if missed:
        context.expect_change()
    if not failed:
        if missed:
            raise GoneError
        return Reply("STORE completed")
    view.tell_flags(failed)
    code = modified(view, failed, by_uid=command.by_uid)
    if missed:  # RFC 7162 §3.1.3: MODIFIED goes with the NO, too
        return Reply("Some messages were changed meanwhile, others are gone", b"NO", code)
    return Reply("Some messages were changed meanwhile", code=code)


def _modseq(since: int | None) -> ModSeq | None:
    return None if since is None else ModSeq(since)


async def copy(context: Context, command: c.Copy) -> Reply:
    """RFC 3501 §6.4.7, RFC 4315 §3; MOVE is RFC 6851."""
    view = context.view
    uids = view.resolve(command.messages, by_uid=command.by_uid)
    if command.move:
        _check_writable(context)
        transfer = await context.mailboxes.move(
            context.account_id, view.mailbox_id, uids=uids, target=command.mailbox
        )
        reply = _moved(context, transfer)
        return await expunged(context, reply) if transfer.messages else reply
    transfer = await context.mailboxes.copy(
        context.account_id,
        view.mailbox_id,
        uids=uids,
        target=command.mailbox,
        all_or_nothing=not command.by_uid,
    )
    if transfer.target.id == view.mailbox_id:
        context.expect_change()
    return Reply("COPY completed", code=_copyuid(transfer))


def _moved(context: Context, transfer: Transfer) -> Reply:
    """COPYUID comes before the EXPUNGEs, in an untagged OK (RFC 6851 §4.3)."""
    if transfer.messages:
        code = _copyuid(transfer)
        context.write(responses.status(b"*", b"OK", "Moved", code=code))
    context.view.expunged(each.source_uid for each in transfer.messages)
    if transfer.target.id == context.view.mailbox_id:
        context.expect_change()
    return Reply("MOVE completed")


def _copyuid(transfer: Transfer) -> bytes:
    if not transfer.messages:
        return b""
    source = compress(each.source_uid for each in transfer.messages)
    target = compress(each.target_uid for each in transfer.messages)
    return b"COPYUID %d %b %b" % (transfer.target.uidvalidity, source, target)
