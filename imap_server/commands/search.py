"""SEARCH (RFC 3501 §6.4.4): the index first, headers of those in doubt, bodies of the rest."""

from imap_server.context import Context, Reply
from imap_server.search import Candidate, Question, check_numbers
from imap_server.wire import commands as c
from imap_server.wire import responses
from imap_server.wire.tokens import BadCommandError
from um.core.errors import NotFoundError

BATCH = 200


async def search(context: Context, command: c.Search) -> Reply:
    """RFC 3501 §6.4.4. Messages that are gone match nothing."""
    view = context.view
    if not check_numbers(command.key, len(view.uids)):
        raise BadCommandError("There is no message of that number")
    question = Question(
        command.key, messages=len(view.uids), largest_uid=view.uids[-1] if view.uids else 0
    )
    found: list[Candidate] = []
    for start in range(0, len(view.uids), BATCH):
        candidates = [
            Candidate(number, view.entries[uid], uid in view.recent)
            for number, uid in enumerate(view.uids[start : start + BATCH], start + 1)
            if not view.is_gone(uid)
        ]
        found += await _search(context, question, candidates)
        await context.drain()
    numbers = [each.entry.uid if command.by_uid else each.number for each in found]
    context.write(responses.untagged(b"SEARCH", *(b"%d" % number for number in numbers)))
    return Reply("SEARCH completed")


async def _search(
    context: Context, question: Question, candidates: list[Candidate]
) -> list[Candidate]:
    answers = [(each, question.matches(each)) for each in candidates]
    doubtful = [each for each, answer in answers if answer is None]
    found = {each.number for each, answer in answers if answer}
    if doubtful:
        contents = await context.mailboxes.contents([each.entry for each in doubtful])
        for each in doubtful:
            content = contents.get(each.entry.content_id)
            if content is None:
                continue
            each.header = content.header
            answer = question.matches(each)
            if answer is None:
                try:
                    each.text = await context.mailboxes.text(content)
                except NotFoundError:
                    continue
                answer = question.matches(each)
                each.text = None
                await context.drain()
            if answer:
                found.add(each.number)
    return [each for each in candidates if each.number in found]
