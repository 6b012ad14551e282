"""PREVIEW (RFC 8970): the first words of a message, such as who called and what was said."""

from imap_server.context import Context
from imap_server.wire import responses
from um.core.errors import NotFoundError
from um.core.message import Content

CHARACTERS = 200
"""RFC 8970 §3.2: more may not be told."""
LAZY_OCTETS = 64 * 1024
"""The text of larger messages is not looked for in passing."""


async def preview(context: Context, content: Content, *, lazy: bool) -> bytes:
    """The preview as a string, NIL if none can be had now. Its white space is single spaces."""
    if lazy and content.size_octets > LAZY_OCTETS:
        return b"NIL"
    try:
        text = await context.mailboxes.first_words(content)
    except NotFoundError:
        return b"NIL"
    await context.drain()
    words = " ".join(text.replace("\0", " ")[: CHARACTERS * 10].split())
    return responses.quoted(words[:CHARACTERS].rstrip().encode("utf-8", "replace"))
