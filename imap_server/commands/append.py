"""APPEND (RFC 3501 §6.3.11, RFC 4315 §3 APPENDUID, RFC 7889): asked, then received, then stored."""

from imap_server.connection import MessageOffered, MessageReceived
from imap_server.context import Context, Reply
from imap_server.errors import TooBusyError, refused
from um.core.errors import InvalidError, UMError


async def offered(context: Context, event: MessageOffered) -> None:
    """Decide before the client sends the message: size, quota, mailbox, state of the account."""
    try:
        await context.mailboxes.may_append(
            context.account_id, event.append.mailbox, event.size_octets
        )
        if not context.expect_message(event.size_octets):
            raise TooBusyError
    except UMError as error:
        context.connection.refuse_message(refused(event.tag, error))
    else:
        context.connection.accept_message()


async def received(context: Context, event: MessageReceived) -> Reply:
    """Store it; the OK says that it is durable."""
    try:
        if b"\0" in event.data:
            # No literal may hold one (RFC 3501 §9 CHAR8): it could never be fetched again.
            raise InvalidError("A message with NUL in it cannot be stored")
        delivered = await context.mailboxes.append(
            context.account_id,
            event.append.mailbox,
            data=event.data,
            flags=event.append.flags,
            internal_date=event.append.internal_date,
        )
    finally:
        context.expect_message(0)
    if context.selected is not None and context.selected.mailbox_id == delivered.mailbox_id:
        context.expect_change()
    code = b"APPENDUID %d %d" % (delivered.uidvalidity, delivered.uid)
    return Reply("APPEND completed", code=code)
