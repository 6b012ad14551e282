"""APPEND (RFC 3501 §6.3.11, RFC 3502, RFC 4315 §3, RFC 7889): each message asked, received, staged.

Laws:
- Size, quota and mailbox are looked at before a message is asked for; the quota over all that the
  command has brought so far.
- One message at a time is in memory: what is complete is on disk before the next is asked for. All
  of them appear together, or none.
"""

import asyncio

from imap_server.connection import MessageOffered, MessageReceived
from imap_server.context import Appended, Context, Reply
from imap_server.errors import (
    TooBusyError,
    TooManyMessagesError,
    UnknownEncodingError,
    refused,
)
from imap_server.wire.sequence import compress
from um.core.errors import InvalidError, UMError
from um.mime.transcode import without_nul
from um.service.appending import Appending

MAX_MESSAGES = 1000


async def offered(context: Context, event: MessageOffered) -> None:
    """Decide before the client sends the message: size, quota, mailbox, state of the account."""
    appended = _appended(context, event.append.mailbox)
    try:
        if appended.error is not None:
            raise appended.error
        await _check(context, appended.messages, event)
    except UMError as error:
        context.connection.refuse_message(refused(event.tag, error))
        await forget(context)
    else:
        context.connection.accept_message()


def _appended(context: Context, mailbox: str) -> Appended:
    if context.append is None:
        context.append = Appended(context.mailboxes.appending(context.account_id, mailbox))
    return context.append


async def _check(context: Context, messages: Appending, event: MessageOffered) -> None:
    await context.mailboxes.may_append(
        context.account_id,
        event.append.mailbox,
        event.size_octets,
        before_octets=messages.size_octets,
    )
    if messages.messages >= MAX_MESSAGES:
        raise TooManyMessagesError
    if not context.expect_message(event.size_octets):
        raise TooBusyError


async def received(context: Context, event: MessageReceived) -> None:
    """Stage it; what speaks against it is said when the client can hear it."""
    appended = _appended(context, event.append.mailbox)
    try:
        if appended.error is None:
            await appended.messages.add(
                await _storable(event),
                flags=event.heading.flags,
                internal_date=event.heading.internal_date,
            )
    except UMError as error:
        appended.error = error
    finally:
        context.expect_message(0)


async def _storable(event: MessageReceived) -> bytes:
    """The message without NUL: no literal may hold one (RFC 3501 §9 CHAR8), so none could be fetched.

    What came as a `literal8` has its binary parts put into base64 (RFC 3516 §4.4).
    """
    if b"\0" not in event.data:
        return event.data
    if not event.binary:
        raise InvalidError("A message with NUL in it cannot be stored")
    data = await asyncio.to_thread(without_nul, event.data)
    if data is None:
        raise UnknownEncodingError("NUL is allowed in binary parts only")
    return data


async def ended(context: Context) -> Reply:
    """Store them; the OK says that all are durable."""
    appended = context.append
    assert appended is not None, "a message was received"
    try:
        if appended.error is not None:
            raise appended.error
        delivered = await appended.messages.commit()
    finally:
        await forget(context)
    first = delivered[0]
    if context.selected is not None and context.selected.mailbox_id == first.mailbox_id:
        context.expect_change()
    uids = compress(each.uid for each in delivered)
    return Reply("APPEND completed", code=b"APPENDUID %d %b" % (first.uidvalidity, uids))


async def forget(context: Context) -> None:
    """Nothing of the APPEND that is under way shall be stored."""
    context.expect_message(0)
    appended, context.append = context.append, None
    if appended is not None:
        await appended.messages.discard()
