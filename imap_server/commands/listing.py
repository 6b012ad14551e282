"""LIST, LSUB, NAMESPACE (RFC 3501 §6.3.8, §6.3.9; RFC 2342; RFC 6154)."""

from imap_server.context import Context, Reply
from imap_server.listing import DELIMITER, Known, Listed, list_mailboxes, list_subscribed
from imap_server.wire import commands as c
from imap_server.wire import responses


async def list_(context: Context, command: c.List) -> Reply:
    """RFC 3501 §6.3.8."""
    if command.patterns == ("",):
        # The client asks for the delimiter and the root of the reference; some stop without it.
        root = DELIMITER if command.reference.startswith(DELIMITER) else ""
        context.write(responses.list_line(b"LIST", [b"\\Noselect"], root))
        return Reply("LIST completed")
    folders = await context.mailboxes.folders(context.account_id)
    subscribed: set[str] = set()
    if command.show_subscribed:
        subscribed = await context.mailboxes.subscriptions(context.account_id)
    lines = list_mailboxes(
        [Known(folder.mailbox.name, folder.mailbox.special_use) for folder in folders],
        command.reference,
        command.patterns,
        subscribed=subscribed,
        show_subscribed=command.show_subscribed,
        only_subscribed=command.only_subscribed,
        only_special_use=command.only_special_use,
    )
    _write(context, b"LIST", lines)
    return Reply("LIST completed")


async def lsub(context: Context, command: c.Lsub) -> Reply:
    """RFC 3501 §6.3.9."""
    subscribed = await context.mailboxes.subscriptions(context.account_id)
    folders = await context.mailboxes.folders(context.account_id)
    existing = {folder.mailbox.name for folder in folders}
    lines = list_subscribed(subscribed, existing, command.reference, command.pattern)
    _write(context, b"LSUB", lines)
    return Reply("LSUB completed")


async def namespace(context: Context, _command: c.Namespace) -> Reply:
    """RFC 2342 §5: one personal namespace, nobody else's."""
    context.write(responses.untagged(b'NAMESPACE (("" "/")) NIL NIL'))
    return Reply("NAMESPACE completed")


def _write(context: Context, word: bytes, lines: list[Listed]) -> None:
    context.write(
        b"".join(
            responses.list_line(
                word, [attribute.encode("ascii") for attribute in line.attributes], line.name
            )
            for line in lines
        )
    )
