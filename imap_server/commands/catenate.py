r"""CATENATE (RFC 4469): a message put together from what came and from what is there already.

Laws: only messages of the own account, named by relative URLs; their octets are copied unchanged,
no more of them than a message may have; `\Seen` stays as it is.
"""

from collections.abc import Sequence

from imap_server.context import Context
from imap_server.errors import BadUrlError, TooBusyError
from imap_server.sections import chosen_fields, partial, span_of
from imap_server.wire.append import Url
from imap_server.wire.url import InvalidUrlError, MessageUrl, parse_url
from um.core.errors import NotFoundError, TooLargeError
from um.core.ids import MailboxId, Uid
from um.core.message import Content


async def put_together(context: Context, pieces: Sequence[bytes | Url]) -> bytes:
    """The octets of a message. Raises BadUrlError with the first URL that leads nowhere."""
    found: list[bytes] = []
    size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    for piece in pieces:
        if isinstance(piece, bytes):
            found.append(piece)
            continue
        octets = await _octets(context, piece, room=context.mailboxes.append_octets - size)
        size += len(octets)
        if not context.expect_message(size):
            raise TooBusyError
        found.append(octets)
    return b"".join(found)


async def _octets(context: Context, url: Url, *, room: int) -> bytes:
    try:
        wanted = parse_url(url.written)
        content = await _content(context, wanted)
        span = span_of(content, wanted.section)
        if span is None:
            raise NotFoundError("There is no such part")
        start, end = span
        if end - start > max(room, 0) and wanted.section.fields is None:
            raise TooLargeError
        octets = await context.mailboxes.octets(content, start, end - start) if start < end else b""
    except (InvalidUrlError, NotFoundError) as error:
        raise BadUrlError(url.written) from error
    if wanted.section.fields is None:
        return octets
    return partial(chosen_fields(octets, wanted.section), wanted.section)


async def _content(context: Context, url: MessageUrl) -> Content:
    mailbox_id: MailboxId
    if url.mailbox is not None:
        mailbox_id = (await context.mailboxes.find(context.account_id, url.mailbox)).id
    elif context.selected is not None:
        mailbox_id = context.selected.mailbox_id
    else:
        raise NotFoundError("No mailbox is selected")
    mailbox, _, content = await context.mailboxes.message(
        context.account_id, mailbox_id, Uid(url.uid)
    )
    if url.uidvalidity not in {None, mailbox.uidvalidity}:
        raise NotFoundError("The mailbox is another one now")
    return content
