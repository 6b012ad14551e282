"""SEARCH (RFC 3501 §6.4.4, RFC 4731, RFC 5182): the index first, headers of those in doubt, bodies of the rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from imap_server.candidate import Candidate
from imap_server.context import Context, Reply
from imap_server.errors import SearchTooLongError, UnknownCharsetError
from imap_server.search import Question
from imap_server.sieve import BETWEEN, asks_all_headers, may_hold, needed_texts, piece, plain_pieces
from imap_server.wire import commands as c
from imap_server.wire.results import esearch_line, kept, search_line
from imap_server.wire.search import Result, SearchKey, uses_modseq
from imap_server.wire.tokens import BadCommandError
from um.core.errors import NotFoundError
from um.core.message import Entry

BATCH = 200
INLINE_OCTETS = 256 * 1024
"""More than this to go through, over all keys, is gone through beside the loop."""
KEYS_IN_A_ROW = 2_000
"""Between two looks whether others wait: about 2 ms."""


async def search(context: Context, command: c.Search) -> Reply:
    """RFC 3501 §6.4.4, RFC 4731. Messages that are gone match nothing."""
    _check_charset(context, named=command.names_charset)
    if uses_modseq(command.key):
        context.use_condstore()
    returns = command.returns
    if returns is None and context.rev2:  # RFC 9051 Appendix E 4: no SEARCH response any more
        returns = frozenset({Result.ALL})
    with saving(context, returns):
        found = await matching(context, command.key, returns)
    numbers = [each.entry.uid if command.by_uid else each.number for each in found]
    modseq = None
    if uses_modseq(command.key):
        modseq = highest([each.entry for each in found], returns)
    if returns is None:
        context.write(search_line(numbers, modseq))
    else:
        told = returns - {Result.SAVE}
        if told:
            line = esearch_line(
                context.tag, numbers, returns=told, by_uid=command.by_uid, modseq=modseq
            )
            context.write(line)
    return Reply("SEARCH completed")


async def unknown_charset(context: Context, command: c.UnknownCharset) -> Reply:
    """NO [BADCHARSET] (RFC 3501 §6.4.4)."""
    _check_charset(context, named=command.names_charset)
    with saving(context, command.returns):
        raise UnknownCharsetError


@contextmanager
def saving(context: Context, returns: frozenset[Result] | None) -> Iterator[None]:
    """With SAVE `$` is empty after a NO (RFC 5182 §2.1): what fails within empties it."""
    try:
        yield
    except Exception:
        if returns is not None and Result.SAVE in returns:
            context.view.saved = []
        raise


def _check_charset(context: Context, *, named: bool) -> None:
    """RFC 6855 §3: once all is UTF-8, SEARCH names no charset."""
    if named and "UTF8=ACCEPT" in context.enabled:
        raise BadCommandError("All is UTF-8: name no charset")


def highest(found: list[Entry], returns: frozenset[Result] | None) -> int | None:
    """The highest mod-sequence of what is told (RFC 7162 §3.1.5, of MIN and MAX alone §3.1.6)."""
    told = [each.uid for each in found]
    if returns is not None:
        told = kept(told, returns)
    wanted = set(told)
    return max((each.modseq for each in found if each.uid in wanted), default=None)


async def matching(
    context: Context, key: SearchKey, returns: frozenset[Result] | None
) -> list[Candidate]:
    """The messages that match, by number; with SAVE `$` keeps them (see `saving`).

    A number of no message matches nothing, as with other servers: programs search `1:*` in a
    mailbox that may be empty.
    """
    found = await _all_matching(context, key)
    if returns is not None and Result.SAVE in returns:
        context.view.saved = kept([each.entry.uid for each in found], returns)
    return found


async def _all_matching(context: Context, key: SearchKey) -> list[Candidate]:
    view = context.view
    question, beside = (
        Question(
            key,
            messages=len(view.uids),
            largest_uid=view.uids[-1] if view.uids else 0,
            now=context.services.clock.now(),
            saved=view.saved,
            memory=memory,
        )
        for memory in (context.services.folded, None)
    )
    texts, load = needed_texts(key), asks_all_headers(key)
    found: list[Candidate] = []
    clock = context.services.clock
    deadline = clock.monotonic() + context.settings.search_timeout_seconds
    for start in range(0, len(view.uids), BATCH):
        entries = [
            (number, view.entries[uid])
            for number, uid in enumerate(view.uids[start : start + BATCH], start + 1)
            if not view.is_gone(uid)
        ]
        if texts and entries:
            entries = await _possible(context, entries, texts, load=load)
        candidates = [
            Candidate(number, entry, entry.uid in view.recent) for number, entry in entries
        ]
        found += await _search(context, question, beside, candidates, deadline)
        await context.drain()
    return found


async def _possible(
    context: Context, entries: list[tuple[int, Entry]], texts: list[bytes], *, load: bool
) -> list[tuple[int, Entry]]:
    """Those of `entries` whose headers may hold all of `texts`; `load` headers that are not at hand.

    The pieces of a batch are kept. What was expunged or arrived meanwhile makes it another batch.
    """
    sieves = context.services.sieves
    mailbox = context.view.mailbox_id.encode()
    ids = [entry.content_id for _, entry in entries]
    batch = sha256("".join(ids).encode()).digest()
    pieces = sieves.get(mailbox, batch)
    if pieces is None:
        messages = [entry for _, entry in entries]
        if load:
            contents = await context.mailboxes.contents(messages)
        else:
            contents = context.mailboxes.contents_at_hand(messages)
        if any(each not in contents for each in ids):
            return entries
        pieces = await _pieces(context, [contents[each].header for each in ids])
        if sieves.get(mailbox, batch) is None:  # another session may have been as far
            sieves.put(mailbox, batch, pieces)
    hold = may_hold(pieces, texts)
    if hold is None:
        return []
    return [each for each, may in zip(entries, hold, strict=True) if may]


async def _pieces(context: Context, headers: list[bytes]) -> bytes:
    pieces = plain_pieces(headers)
    if pieces is not None:
        return pieces
    found = []
    for header in headers:
        found.append(piece(header))
        await context.drain()
    return BETWEEN.join(found)


async def _search(
    context: Context,
    question: Question,
    beside: Question,
    candidates: list[Candidate],
    deadline: float,
) -> list[Candidate]:
    doubtful: list[Candidate] = []
    found: set[int] = set()
    in_a_row = max(1, KEYS_IN_A_ROW // question.weight)
    for count, each in enumerate(candidates, 1):
        answer = question.matches(each)
        if answer is None:
            doubtful.append(each)
        elif answer:
            found.add(each.number)
        if count % in_a_row == 0:
            await context.drain()
    if doubtful:
        contents = await context.mailboxes.contents([each.entry for each in doubtful])
        for each in doubtful:
            content = contents.get(each.entry.content_id)
            if content is None:
                continue
            if context.services.clock.monotonic() > deadline:
                raise SearchTooLongError
            each.header = content.header
            answer = await _answer(context, question, beside, each)
            if answer is None:
                try:
                    each.text = await context.mailboxes.text(content)
                except NotFoundError:
                    continue
                answer = await _answer(context, question, beside, each)
                each.forget_text()
                await context.drain()
            if answer:
                found.add(each.number)
    return [each for each in candidates if each.number in found]


async def _answer(
    context: Context, question: Question, beside: Question, message: Candidate
) -> bool | None:
    """What the message says to the question; `beside` asks the same without the shared memory."""
    if question.weight * message.loaded > INLINE_OCTETS:
        return await context.beside(beside.matches, message)
    return question.matches(message)
