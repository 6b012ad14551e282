"""APPEND and REPLACE (RFC 3501 §6.3.11, 3502, 4315 §3, 7889, 8508): messages asked, received, staged.

Laws:
- Size, quota and mailbox are looked at before a message is asked for; the quota over all that the
  command has brought so far.
- One message at a time is in memory: what is complete is on disk before the next is asked for. All
  of them appear together, or none.
"""

import asyncio
from collections.abc import Sequence

import structlog

from imap_server.commands.catenate import put_together
from imap_server.commands.condstore import expunged
from imap_server.connection import MessageOffered, MessageReceived
from imap_server.context import Appended, Context, Reply
from imap_server.errors import (
    TooBusyError,
    TooManyMessagesError,
    UnknownEncodingError,
    refused,
)
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.append import Url
from imap_server.wire.sequence import SequenceSet, compress
from imap_server.wire.tokens import BadCommandError
from um.core.errors import InvalidError, ReadOnlyError, UMError
from um.core.ids import Uid
from um.mime.transcode import without_nul
from um.service.appending import Appending
from um.service.delivery import Delivered
from um.service.mailboxes import GoneError

log = structlog.get_logger(__name__)

MAX_MESSAGES = 1000


async def offered(context: Context, event: MessageOffered) -> None:
    """Decide before the client sends the message: size, quota, mailbox, state of the account."""
    appended = _appended(context, event.append)
    try:
        if appended.error is not None:
            raise appended.error
        await _check(context, event)
    except BadCommandError as problem:
        context.connection.refuse_message(responses.status(event.tag, b"BAD", str(problem)))
        await forget(context)
    except UMError as error:
        context.connection.refuse_message(refused(event.tag, error))
        await forget(context)
    else:
        context.connection.accept_message()


def _appended(context: Context, append: c.Append) -> Appended:
    if context.append is None:
        messages = context.mailboxes.appending(context.account_id, append.mailbox)
        context.append = Appended(messages)
        if append.replaced is not None:
            _find_replaced(context, context.append, append.replaced, by_uid=append.by_uid)
    return context.append


def _find_replaced(
    context: Context, appended: Appended, replaced: SequenceSet, *, by_uid: bool
) -> None:
    """Which message REPLACE means; numbers do not change until it has ended."""
    view = context.view
    try:
        uids = view.resolve(replaced, by_uid=by_uid)
    except BadCommandError as problem:
        appended.error = problem
        return
    if view.read_only:
        appended.error = ReadOnlyError()
    elif not uids or view.is_gone(uids[0]):
        appended.error = GoneError()
    else:
        appended.replaced = uids[0]
        appended.replaced_octets = view.entries[uids[0]].size_octets


async def _check_room(context: Context, mailbox: str, size_octets: int) -> None:
    appended = context.append
    assert appended is not None, "a message was offered or received"
    await context.mailboxes.may_append(
        context.account_id,
        mailbox,
        size_octets,
        before_octets=appended.messages.size_octets - appended.replaced_octets,
    )


async def _check(context: Context, event: MessageOffered) -> None:
    size = event.held_octets + event.size_octets
    needed = max(size, 1) if event.is_part else size
    await _check_room(context, event.append.mailbox, needed)
    if not context.expect_message(size):
        raise TooBusyError


async def received(context: Context, event: MessageReceived) -> None:
    """Stage it; what speaks against it is said when the client can hear it."""
    appended = _appended(context, event.append)
    try:
        if appended.messages.messages >= MAX_MESSAGES:
            raise TooManyMessagesError
        if appended.error is None:
            await appended.messages.add(
                await _storable(context, event),
                flags=event.heading.flags,
                internal_date=event.heading.internal_date,
            )
    except UMError as error:
        appended.error = error
    except Exception:
        log.exception("message not taken")
        appended.error = UMError("Internal error")
    finally:
        context.expect_message(0)


async def _storable(context: Context, event: MessageReceived) -> bytes:
    """The message without NUL: no literal may hold one (RFC 3501 §9 CHAR8), so none could be fetched.

    What came as a `literal8` has its binary parts put into base64 (RFC 3516 §4.4).
    """
    data = await put_together(context, event.pieces)
    if any(isinstance(piece, Url) for piece in event.pieces):
        # What URLs add was in no offer: the quota is asked before it lies on the disk.
        await _check_room(context, event.append.mailbox, len(data))
    if b"\0" not in data:
        return data
    if not event.binary:
        raise InvalidError("A message with NUL in it cannot be stored")
    stored = await asyncio.to_thread(without_nul, data)
    if stored is None:
        raise UnknownEncodingError("NUL is allowed in binary parts only")
    return stored


async def ended(context: Context) -> Reply:
    """Store them; the OK says that all are durable."""
    appended = context.append
    assert appended is not None, "a message was received"
    try:
        if appended.error is not None:
            raise appended.error
        if appended.replaced is not None:
            return await _replace(context, appended.messages, appended.replaced)
        delivered = await appended.messages.commit()
    finally:
        await forget(context)
    return Reply("APPEND completed", code=_append_uid(context, delivered))


async def _replace(context: Context, messages: Appending, replaced: Uid) -> Reply:
    """RFC 8508 §3.4; APPENDUID comes before the EXPUNGE (§4.3)."""
    view = context.view
    delivered = await context.mailboxes.replace(
        context.account_id, view.mailbox_id, replaced, messages
    )
    code = _append_uid(context, delivered)
    context.write(responses.status(b"*", b"OK", "Replacement stored", code=code))
    view.expunged([replaced])
    return await expunged(context, Reply("REPLACE completed"))


def _append_uid(context: Context, delivered: Sequence[Delivered]) -> bytes:
    first = delivered[0]
    if context.selected is not None and context.selected.mailbox_id == first.mailbox_id:
        context.expect_change()
    uids = compress(each.uid for each in delivered)
    return b"APPENDUID %d %b" % (first.uidvalidity, uids)


async def forget(context: Context) -> None:
    """Nothing of the APPEND that is under way shall be stored."""
    context.expect_message(0)
    appended, context.append = context.append, None
    if appended is not None:
        await appended.messages.discard()
