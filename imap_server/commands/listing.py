"""LIST, LSUB, NAMESPACE (RFC 3501 §6.3.8, §6.3.9; RFC 2342; RFC 5258; RFC 5819; RFC 6154)."""

from functools import partial

from imap_server.commands.list_line import known, line
from imap_server.commands.mailbox import status_line, status_values
from imap_server.context import Context, Reply
from imap_server.listing import DELIMITER, Choice, Listed, list_mailboxes, list_subscribed
from imap_server.wire import commands as c
from imap_server.wire import responses

INLINE = 5_000
"""Names to be compared with patterns; more are compared beside the loop: 0.1 s for long names."""


async def list_(context: Context, command: c.List) -> Reply:
    """RFC 3501 §6.3.8; STATUS of each folder comes behind its line (RFC 5819 §2)."""
    if command.patterns == ("",) and not command.extended:
        # The client asks for the delimiter and the root of the reference; some stop without it.
        root = DELIMITER if command.reference.startswith(DELIMITER) else ""
        context.write(responses.list_line(b"LIST", [b"\\Noselect"], root, utf8=context.utf8))
        return Reply("LIST completed")
    folders = await context.mailboxes.folders(context.account_id)
    choice = _choice(command, rev2=context.rev2)
    subscribed: set[str] = set()
    if choice.show_subscribed:
        subscribed = await context.mailboxes.subscriptions(context.account_id)
    choose = partial(list_mailboxes, subscribed=subscribed, choice=choice)
    asked = known(folders), command.reference, command.patterns
    if len(folders) * len(command.patterns) > INLINE:
        lines = await context.beside(choose, *asked)
    else:
        lines = choose(*asked)
    ids = {folder.mailbox.name: folder.mailbox.id for folder in folders}
    statuses = {}
    if command.status_items:
        names = [listed.name for listed in lines if listed.exists]
        statuses = await context.mailboxes.statuses(context.account_id, names)
    for listed in lines:
        _write(context, b"LIST", [listed])
        if listed.name in statuses:
            values = status_values(
                context, command.status_items, statuses[listed.name], ids[listed.name]
            )
            context.write(status_line(listed.name, values, utf8=context.utf8))
    return Reply("LIST completed")


def _choice(command: c.List, *, rev2: bool) -> Choice:
    only_subscribed = "SUBSCRIBED" in command.selection
    return Choice(
        only_subscribed=only_subscribed,
        only_special_use="SPECIAL-USE" in command.selection,
        recursive="RECURSIVEMATCH" in command.selection,
        show_subscribed=only_subscribed or "SUBSCRIBED" in command.returned,
        extended=command.extended or rev2,
    )


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
    context.write(b"".join(line(word, listed, utf8=context.utf8) for listed in lines))
