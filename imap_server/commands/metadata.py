"""METADATA (RFC 5464): notes on mailboxes, and with the empty name on the account."""

from collections.abc import Iterator

from imap_server.context import Context, Reply
from imap_server.wire import commands as c
from imap_server.wire import responses


async def get_metadata(context: Context, command: c.GetMetadata) -> Reply:
    """RFC 5464 §4.2. What was named and is not there is NIL, unless a depth was asked for."""
    kept = await context.mailboxes.annotations.get(context.account_id, command.mailbox)
    words: list[bytes] = []
    longest = 0
    for entry in _named(command, kept):
        value = kept.get(entry)
        if command.max_octets is not None and value is not None and len(value) > command.max_octets:
            longest = max(longest, len(value))
            continue
        words += [responses.astring(entry.encode("ascii")), responses.nstring8(value)]
    if words:
        name = responses.mailbox(command.mailbox, utf8=context.utf8)
        context.write(responses.untagged(b"METADATA", name, responses.parenthesized(words)))
    code = b"METADATA LONGENTRIES %d" % longest if longest else b""
    return Reply("GETMETADATA completed", code=code)


def _named(command: c.GetMetadata, kept: dict[str, bytes]) -> Iterator[str]:
    """The entries that are asked for, each once."""
    if command.depth == 0:
        yield from command.entries
        return
    for entry in sorted(kept):
        for above in command.entries:
            below = entry.removeprefix(above)
            if below == entry and entry != above:
                continue
            if not below or (
                below.startswith("/") and (command.depth is None or below.count("/") == 1)
            ):
                yield entry
                break


async def set_metadata(context: Context, command: c.SetMetadata) -> Reply:
    """RFC 5464 §4.3: all of it or nothing."""
    await context.mailboxes.annotations.set(
        context.account_id, command.mailbox, dict(command.values)
    )
    return Reply("SETMETADATA completed")
