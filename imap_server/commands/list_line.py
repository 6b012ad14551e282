"""One folder as LIST tells it, wherever it is told (RFC 3501 §7.2.2, RFC 9051 §6.3.2, §6.3.9.7)."""

from imap_server.context import Context
from imap_server.listing import Choice, Known, Listed, list_mailboxes
from imap_server.wire import responses
from um.service.mailboxes import Folder


def known(folders: list[Folder]) -> list[Known]:
    """The folders as LIST evaluates them."""
    return [Known(folder.mailbox.name, folder.mailbox.special_use) for folder in folders]


def line(word: bytes, listed: Listed, *, utf8: bool, old_name: str | None = None) -> bytes:
    """`* LIST (…) "/" name`."""
    return responses.list_line(
        word,
        [attribute.encode("ascii") for attribute in listed.attributes],
        listed.name,
        child_info=[name.encode("ascii") for name in listed.child_info],
        old_name=old_name,
        utf8=utf8,
    )


async def line_of(context: Context, name: str, written: str) -> bytes:
    """The line of a folder that a command named, with OLDNAME if it was `written` otherwise."""
    folders = await context.mailboxes.folders(context.account_id)
    old_name = None if written == name else written
    return b"".join(
        line(b"LIST", listed, utf8=context.utf8, old_name=old_name)
        for listed in list_mailboxes(known(folders), "", [name], choice=Choice(extended=True))
    )
