"""The text of a message, found without reading its attachments: the same as from the whole."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.house import House
from um.core.ids import IngestKey
from um.core.message import INBOX, MessageKind
from um.mime.index import PartIndex
from um.mime.text import searchable_text
from um.service.delivery import Incoming
from um.service.mailboxes import MailboxService

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nneedle %d\r\n"
CODED = b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nbmVlZGxl\r\n"
ATTACHED = b"Content-Type: application/pdf; name=a.pdf\r\n\r\n"
LONG = b"Content-Type: text/plain\r\n\r\n" + b"a long line of text\r\n" * 8000


def message(parts) -> bytes:
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def attached(octets: int) -> bytes:
    return ATTACHED + b"x" * octets


PART = st.one_of(
    st.sampled_from([TEXT % 1, TEXT % 2, CODED, LONG]),
    st.sampled_from([10, 5_000, 40_000]).map(attached),
)
NESTED = st.lists(PART, max_size=3).map(
    lambda parts: b"Content-Type: message/rfc822\r\n\r\n" + message(parts)
)


class Counting:
    """A blob store that counts what is read from it."""

    def __init__(self, blobs):
        self._blobs, self.octets = blobs, 0

    def __getattr__(self, name):
        return getattr(self._blobs, name)

    async def get(self, key, start=0, length=None):
        found = await self._blobs.get(key, start, length)
        self.octets += len(found)
        return found


async def read(data: bytes):
    """What is searched in `data`, and how many octets were read for it."""
    house = House()
    blobs = Counting(house.blobs)
    mailboxes = MailboxService(house.store, blobs, house.delivery, house.clock)
    account = await house.add("alice", None)
    await house.delivery.deliver(Incoming(account.id, MessageKind.MAIL, data, IngestKey("k")))
    snapshot = await mailboxes.open(account.id, INBOX)
    (content,) = (await mailboxes.contents(snapshot.entries)).values()
    text = await mailboxes.text(content)
    assert text == searchable_text(data, PartIndex.decode(content.structure))
    return text, blobs.octets


@settings(deadline=None)
@given(st.lists(PART | NESTED, max_size=12))
def test_it_is_what_the_whole_message_has(parts):
    """Texts before, between and behind attachments, within messages, of many parts, long ones."""
    asyncio.run(read(message(parts)))


def test_attachments_are_not_read():
    """Of 4 MB with text before and behind, some kilobytes."""
    text, octets = asyncio.run(read(message([TEXT % 1, attached(4_000_000), TEXT % 2])))
    assert "needle 1" in text.body
    assert "needle 2" in text.body
    assert octets < 30_000
