"""What CONDSTORE and QRESYNC add to SELECT, FETCH, STORE and EXPUNGE (RFC 7162)."""

from collections.abc import Sequence

from imap_server.context import Context, Reply
from imap_server.rows import flag_lines
from imap_server.selected import Selected
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.sequence import LARGEST, compress, contains
from imap_server.wire.tokens import BadCommandError
from um.core.ids import ModSeq, Uid

BATCH = 500
"""Lines between two looks at the client, which may read slowly."""


async def resynchronise(context: Context, view: Selected, known: c.Known, uidvalidity: int) -> None:
    """Tell a client that returns what it missed (RFC 7162 §3.2.5); `view` is not selected yet.

    With another UIDVALIDITY it knows nothing: then the answer is that of a plain SELECT.
    """
    if known.uidvalidity != uidvalidity:
        return
    gone = await _vanished(context, view, known.modseq)
    asked: Sequence[Uid] = view.uids
    if known.uids is not None:
        ranges = known.uids.resolve(0)
        gone = [uid for uid in gone if contains(ranges, uid)]
        asked = known.uids.select(view.uids)
    _write_vanished(context, gone)
    missed = [uid for uid in asked if view.entries[uid].modseq > known.modseq]
    for start in range(0, len(missed), BATCH):
        context.write(flag_lines(view, missed[start : start + BATCH]))
        await context.drain()


async def changed(context: Context, command: c.Fetch, uids: Sequence[Uid]) -> list[Uid]:
    """Those of `uids` that changed since (§3.1.4.1); with VANISHED the others are told (§3.2.6)."""
    since = command.changed_since or 0
    if command.vanished and not (context.qresync and command.by_uid):
        raise BadCommandError("VANISHED is for UID FETCH after ENABLE QRESYNC")
    await context.refresh()
    view = context.view
    if command.vanished and not command.messages.saved:
        gone = await _vanished(context, view, since)
        # `*` is no UID that is left: the newest messages may be just those that went.
        ranges = command.messages.resolve(LARGEST)
        _write_vanished(context, [uid for uid in gone if contains(ranges, uid)])
    return [uid for uid in uids if view.entries[uid].modseq > since and not view.is_gone(uid)]


async def _vanished(context: Context, view: Selected, since: int) -> list[Uid]:
    """UIDs that went after `since` and that no message number stands for any more."""
    tombstones = await context.mailboxes.vanished(
        context.account_id, view.mailbox_id, since=ModSeq(since)
    )
    return [each.uid for each in tombstones if each.uid not in view.entries]


def _write_vanished(context: Context, uids: Sequence[Uid]) -> None:
    if uids:
        context.write(responses.untagged(b"VANISHED (EARLIER)", compress(uids)))


async def expunged(context: Context, reply: Reply) -> Reply:
    """Tell the expunge, and up to where the client knows all (RFC 7162 §3.2.7, RFC 6851 §4.4)."""
    if not context.qresync:
        return reply
    context.expect_change()
    await context.announce(expunge=True)
    return Reply(reply.text, code=b"HIGHESTMODSEQ %d" % context.view.modseq)


def modified(view: Selected, uids: Sequence[Uid], *, by_uid: bool) -> bytes:
    """The code that names what a conditional STORE left alone (RFC 7162 §3.1.3)."""
    if not uids:
        return b""
    return b"MODIFIED " + compress(uid if by_uid else view.number(uid) for uid in uids)
