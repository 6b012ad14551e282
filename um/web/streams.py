"""Server-sent events: an owner's pages are told at once that something in the mailboxes changed.

Laws:
- An event is a hint: it says where to look, not what is there; several in a row are one.
- A stream is no use of its session, and ends with it: it looks again whenever the account changes,
  when a session of the account is ended here, and every BEAT_SECONDS.
- So many streams of an account and no more; all end when the server stops.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from um.core.errors import UMError
from um.core.events import AccountChanged, MailboxChanged
from um.core.ids import AccountId
from um.core.ports import EventBus

BEAT_SECONDS = 15.0
MAX_OF_ACCOUNT = 8
MAX_PENDING = 200
"""Folders that are named at once; beyond it `account`, which means: look everywhere."""


class TooManyStreamsError(UMError):
    """The account has all the streams that it may have."""

    code = "too-many"
    temporary = True
    default = "Too many pages listen already: close one"


class _Stream:
    """What has happened to one account since it was last told."""

    def __init__(self, account_id: AccountId) -> None:
        self.account_id = account_id
        self.mailboxes: set[str] = set()
        self.account = False
        self.ended = False
        self.stirred = asyncio.Event()

    def note(self, mailbox_id: str | None) -> None:
        if mailbox_id is None or len(self.mailboxes) >= MAX_PENDING:
            self.account = True
        else:
            self.mailboxes.add(mailbox_id)
        self.stirred.set()

    def taken(self) -> bytes:
        """The events since the last call."""
        lines = [_event("mailbox", mailbox=each) for each in sorted(self.mailboxes)]
        if self.account:
            lines.append(_event("account"))
        self.mailboxes, self.account = set(), False
        self.stirred.clear()
        return b"".join(lines)


class Streams:
    """All streams of this process."""

    def __init__(self, bus: EventBus, *, beat_seconds: float = BEAT_SECONDS) -> None:
        self._open: set[_Stream] = set()
        self._beat_seconds = beat_seconds
        self._closed = False
        bus.subscribe(MailboxChanged, self._mailbox_changed)
        bus.subscribe(AccountChanged, lambda event: self.wake(event.account_id))

    def check_room(self, account_id: AccountId) -> None:
        """Raises TooManyStreamsError."""
        if not self._has_room(account_id):
            raise TooManyStreamsError

    def wake(self, account_id: AccountId) -> None:
        """Something about the account itself, or a session of it, changed."""
        for stream in self._open:
            if stream.account_id == account_id:
                stream.note(None)

    def close(self) -> None:
        """End all: the server stops."""
        self._closed = True
        for stream in self._open:
            stream.ended = True
            stream.stirred.set()

    async def events(
        self, account_id: AccountId, alive: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """The octets of one stream, until it ends.

        Args:
            account_id: whose mailboxes.
            alive: whether the session still opens the door.
        """
        if not self._has_room(account_id):  # others came since `check_room`
            yield _event("bye")
            return
        stream = _Stream(account_id)
        self._open.add(stream)
        try:
            yield b"retry: 3000\n\n" + _event("hello")
            while await self._goes_on(stream, alive):
                yield stream.taken() or b": beat\n\n"
            yield _event("bye")
        finally:
            self._open.discard(stream)

    async def _goes_on(self, stream: _Stream, alive: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until there is something to tell; False if there will be nothing more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stream.stirred.wait(), self._beat_seconds)
        if stream.ended:
            return False
        return bool(stream.mailboxes and not stream.account) or await alive()

    def _has_room(self, account_id: AccountId) -> bool:
        count = sum(each.account_id == account_id for each in self._open)
        return not self._closed and count < MAX_OF_ACCOUNT

    def _mailbox_changed(self, event: MailboxChanged) -> None:
        for stream in self._open:
            if stream.account_id == event.account_id:
                stream.note(event.mailbox_id)


def _event(name: str, **data: str) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
