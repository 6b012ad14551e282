"""The text of messages for the search of portal and API: read once, kept folded while room lasts.

The text is what IMAP's SEARCH reads too (`MailboxView.text`): text parts and the headers of messages
within, decoded; of the fields of parts the names of files alone, which people know. A content never changes, so that what is kept is always right.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from um.core.errors import NotFoundError
from um.core.ids import ContentId
from um.core.message import Content
from um.mime.attachments import file_names
from um.service.mailbox_view import MailboxView

LIMIT_OCTETS = 24 * 1024 * 1024
"""Of all that is kept, about."""
LARGEST = 256 * 1024
"""Characters of a text that is kept; a larger one is read each time."""
OVERHEAD_OCTETS = 200
AT_ONCE = 8
"""Messages that are read side by side, over all searches: the disk and the loop have others to serve."""
LARGE_OCTETS = 1024 * 1024
"""Of those that are larger one is in hand at a time: each is read whole, and decoded beside that."""


class SearchedTexts:
    """The least recently used go first. Call it on the loop's thread only."""

    def __init__(self, mailboxes: MailboxView, *, limit_octets: int = LIMIT_OCTETS) -> None:
        self._mailboxes = mailboxes
        self._limit = limit_octets
        self.used_octets = 0
        """What is kept now, about."""
        self._known: OrderedDict[ContentId, str] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._large_room = asyncio.Semaphore(1)

    async def of(self, contents: Sequence[Content]) -> list[str]:
        """The folded text of each; empty for one that is gone meanwhile. Raises UnavailableError."""
        found = {}
        for each in contents:
            if each.id in self._known:
                self._known.move_to_end(each.id)
                found[each.id] = self._known[each.id]
        missing = [each for each in contents if each.id not in found]
        read = await asyncio.gather(*(self._read(each) for each in missing))
        found.update((each.id, text) for each, text in zip(missing, read, strict=True))
        return [found[each.id] for each in contents]

    async def _read(self, content: Content) -> str:
        large = content.size_octets > LARGE_OCTETS
        async with self._large_room if large else self._room:
            try:
                found = await self._mailboxes.text(content)
            except NotFoundError:
                return ""
        text = "\n".join((found.body, *file_names(found.fields))).casefold()
        self._keep(content.id, text)
        return text

    def _keep(self, content_id: ContentId, text: str) -> None:
        if len(text) > LARGEST or content_id in self._known:
            return
        self._known[content_id] = text
        self.used_octets += _octets(text)
        while self.used_octets > self._limit:
            _, oldest = self._known.popitem(last=False)
            self.used_octets -= _octets(oldest)


def _octets(text: str) -> int:
    widest = 1 if text.isascii() else 2
    return OVERHEAD_OCTETS + widest * len(text)
