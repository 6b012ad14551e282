"""SORT and THREAD (RFC 5256, RFC 5267 ESORT): a search, and then an order."""

from collections.abc import Sequence

from imap_server.candidate import Candidate
from imap_server.commands.search import highest, matching, saving
from imap_server.context import Context, Reply
from imap_server.ordering import Sortable, in_order
from imap_server.threads import rendered, threads
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.results import esearch_line, kept, search_line
from imap_server.wire.search import Result, uses_modseq

BATCH = 200
"""Of so many messages more than the header is in memory at a time."""
INLINE = 200
"""More messages than this are put in order beside the loop: it has others to serve."""


async def sort(context: Context, command: c.Sort) -> Reply:
    """RFC 5256 §3; with RETURN the answer is RFC 5267's."""
    if uses_modseq(command.key):
        context.use_condstore()
    with saving(context, command.returns):
        ordered = await _ordered(context, command)
    if command.returns is not None and Result.SAVE in command.returns:
        uids = [each.entry.uid for each in ordered]
        context.view.saved = kept(uids, command.returns)
    numbers = [each.entry.uid if command.by_uid else each.number for each in ordered]
    modseq = None
    if uses_modseq(command.key):
        modseq = highest([each.entry for each in ordered], command.returns)
    if command.returns is None:
        context.write(search_line(numbers, modseq, word=b"SORT"))
    elif told := command.returns - {Result.SAVE}:
        line = esearch_line(
            context.tag, numbers, returns=told, by_uid=command.by_uid, modseq=modseq
        )
        context.write(line)
    return Reply("SORT completed")


async def _ordered(context: Context, command: c.Sort) -> list[Sortable]:
    found = await matching(context, command.key, command.returns)
    messages = await _sortable(context, found)
    if len(messages) > INLINE:
        return await context.beside(in_order, messages, command.program)
    return in_order(messages, command.program)


async def thread(context: Context, command: c.Thread) -> Reply:
    """RFC 5256 §3."""
    found = await matching(context, command.key, None)
    messages = await _sortable(context, found)
    if len(messages) > INLINE:
        roots = await context.beside(threads, messages, command.algorithm)
    else:
        roots = threads(messages, command.algorithm)
    uids = {each.number: int(each.entry.uid) for each in messages}
    told = rendered(roots, lambda number: uids[number] if command.by_uid else number)
    context.write(responses.untagged(b"THREAD", *([told] if told else [])))
    return Reply("THREAD completed")


async def _sortable(context: Context, found: Sequence[Candidate]) -> list[Sortable]:
    """The candidates with their headers; of one that has gone meanwhile nothing is known."""
    messages: list[Sortable] = []
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        contents = await context.mailboxes.contents([each.entry for each in batch])
        headers = {key: content.header for key, content in contents.items()}
        messages += [
            Sortable(each.number, each.entry, headers.get(each.entry.content_id, b""))
            for each in batch
        ]
        await context.drain()
    return messages
