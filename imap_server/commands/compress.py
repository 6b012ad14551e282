"""COMPRESS (RFC 4978)."""

from imap_server.context import Context
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.tokens import BadCommandError


def compress(context: Context, tag: bytes, command: c.Compress) -> None:
    """RFC 4978 §3. Answers by itself: what follows the OK is folded."""
    if not context.settings.compress:
        raise BadCommandError("Compression is not offered")
    if context.link.compressed:
        raise BadCommandError("DEFLATE is active")
    if command.mechanism != "DEFLATE":
        raise BadCommandError("Unknown compression")
    if context.connection.buffered:
        raise BadCommandError("Nothing may follow COMPRESS before it is answered")
    context.write(responses.status(tag, b"OK", "DEFLATE active"))
    context.link.start_deflate()
