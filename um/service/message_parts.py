"""What is in one message, for people: its text, its documents, and the octets of each.

Large messages are taken apart in a thread: the loop has others to serve.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from um.core.errors import NotFoundError
from um.core.message import Content
from um.mime.attachments import Document, content, documents
from um.mime.reading import Reading, reading
from um.service.mailbox_view import MailboxView

T = TypeVar("T")
INLINE_OCTETS = 128 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A document of a message."""

    number: str
    """Part numbers from 1, with dots (RFC 3501 §6.4.5)."""
    filename: str
    media_type: str
    size_octets: int
    """Decoded."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What a message holds."""

    text: Reading
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class PartOctets:
    """One document, decoded."""

    filename: str
    media_type: str
    data: bytes = field(repr=False)


class MessageParts:
    """Looks into the messages of a view."""

    def __init__(self, mailboxes: MailboxView) -> None:
        self._mailboxes = mailboxes

    async def inside(self, message: Content) -> Inside:
        """Text and documents. Raises NotFoundError, UnavailableError."""
        return await self._taken_apart(message, _inside)

    async def part(self, message: Content, number: str) -> PartOctets:
        """One document. Raises NotFoundError, UnavailableError."""
        return await self._taken_apart(message, lambda data: _part(data, number))

    async def _taken_apart(self, message: Content, work: Callable[[bytes], T]) -> T:
        data = await self._mailboxes.octets(message)
        if len(data) <= INLINE_OCTETS:
            return work(data)
        return await asyncio.to_thread(work, data)


def _inside(data: bytes) -> Inside:
    parts = [
        Part(_number(each), each.filename, each.media_type, len(content(data, each)))
        for each in documents(data)
    ]
    return Inside(reading(data), parts)


def _part(data: bytes, number: str) -> PartOctets:
    for each in documents(data):
        if _number(each) == number:
            return PartOctets(each.filename, each.media_type, content(data, each))
    raise NotFoundError("The message has no such part")


def _number(document: Document) -> str:
    return ".".join(map(str, document.path))
