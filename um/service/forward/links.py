"""Links by which a copy's reader gets a document without signing in, until they expire.

Laws:
- A link names one document of one message and its last day; its mac proves both. Nothing is kept.
- It ends early when the message is deleted or its account is closed; a suspended owner may read on.
- Whatever is wrong with a link, the answer is the same.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from um.core.errors import NotFoundError
from um.core.forwarding import OutboxEntry
from um.core.ids import ContentId
from um.core.message import Content
from um.core.ports import BlobStore, Clock, Store, Transaction
from um.mime.attachments import Document, content, documents
from um.policy.forwarding import LINK_AGE
from um.policy.lifecycle import Answer, Door, answer
from um.service.forward.settings import ForwardSettings
from um.service.forward.signing import Signer

USE = "link"
WHOLE_MESSAGE = "0"
_GONE = "This link has expired, or what it led to was deleted"


@dataclass(frozen=True, slots=True)
class Link:
    """A document under a URL."""

    filename: str
    size_octets: int
    url: str


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """What a link opens."""

    filename: str
    """Letters, digits, dot, dash and underscore only."""
    media_type: str
    data: bytes = field(repr=False)


class Links:
    """Makes links and opens them."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        clock: Clock,
        signer: Signer,
        settings: ForwardSettings,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._signer = signer
        self._settings = settings

    def of(
        self, row: OutboxEntry, message: Content, data: bytes
    ) -> tuple[Sequence[Link], datetime]:
        """Links to the documents of a message (or, without any, to the message), and their end.

        They are the same each time the row is rendered: their time runs from its creation.
        """
        expires_at = (row.created_at + LINK_AGE).replace(microsecond=0)
        found = documents(data)
        if not found:
            url = self._url(message.id, WHOLE_MESSAGE, expires_at)
            return [Link("message.eml", len(data), url)], expires_at
        links = [
            Link(
                each.filename,
                len(content(data, each)),
                self._url(message.id, _number(each), expires_at),
            )
            for each in found
        ]
        return links, expires_at

    async def open(self, content_id: str, part: str, expires: str, mac: str) -> LinkedFile:
        """The document behind a link's four words. Raises NotFoundError, UnavailableError."""
        if not self._signer.is_mac(mac, USE, content_id, part, expires):
            raise NotFoundError(_GONE)
        if datetime.fromtimestamp(int(expires), UTC) <= self._clock.now():
            raise NotFoundError(_GONE)
        message = await self._store.read(
            "open-link", lambda tx: _message_txn(tx, ContentId(content_id))
        )
        data = await self._blobs.get(message.blob)
        return await asyncio.to_thread(_linked_file, data, part)

    def _url(self, content_id: ContentId, part: str, expires_at: datetime) -> str:
        expires = str(int(expires_at.timestamp()))
        mac = self._signer.mac(USE, content_id, part, expires)
        return f"{self._settings.public_url}/l/{content_id}/{part}/{expires}/{mac}"


def _message_txn(tx: Transaction, content_id: ContentId) -> Content:
    message = tx.messages.contents([content_id]).get(content_id)
    account = tx.accounts.get(message.account_id) if message else None
    if message is None or account is None:
        raise NotFoundError(_GONE)
    if answer(account.state, Door.PORTAL) not in {Answer.ALLOWED, Answer.READ_ONLY}:
        raise NotFoundError(_GONE)
    return message


def _linked_file(data: bytes, part: str) -> LinkedFile:
    if part == WHOLE_MESSAGE:
        return LinkedFile("message.eml", "application/octet-stream", data)
    for each in documents(data):
        if _number(each) == part:
            return LinkedFile(each.filename, each.media_type, content(data, each))
    raise NotFoundError(_GONE)


def _number(document: Document) -> str:
    return ".".join(map(str, document.path))
