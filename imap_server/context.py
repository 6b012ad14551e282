"""What a command works with: one session's state, its services, its way to the client."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from imap_server.capabilities import ENABLED_BY
from imap_server.connection import Connection, Ended, Event
from imap_server.errors import SessionOverError
from imap_server.link import Link
from imap_server.selected import Selected
from imap_server.services import Services
from imap_server.state import State
from imap_server.wire import responses
from imap_server.wire.tokens import BadCommandError
from um.core.account import AccountState
from um.core.errors import NotFoundError, UMError, UnavailableError
from um.core.ids import AccountId, MailboxId, ModSeq, Uid
from um.service.appending import Appending
from um.service.authentication import Login

log = structlog.get_logger(__name__)

T = TypeVar("T")
RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """How a command ended: `tag WORD [code] text`."""

    text: str
    word: bytes = b"OK"
    code: bytes = b""


class Watching(Protocol):
    """Who is to be told of hints (NOTIFY)."""

    def mailbox_changed(self, mailbox_id: MailboxId) -> None: ...

    def account_changed(self) -> None: ...

    @property
    def behind(self) -> bool:
        """Whether the last look failed, so that another is due without a hint."""
        ...


@dataclass(slots=True)
class Appended:
    """The messages of one APPEND so far."""

    messages: Appending
    replaced: Uid | None = None
    """The message of the selected mailbox that makes room for them (RFC 8508)."""
    replaced_octets: int = 0
    error: UMError | BadCommandError | None = None
    """Why there will be none."""


class Context:
    """One session. Commands read and change it; `session` runs them one at a time."""

    def __init__(self, services: Services, link: Link) -> None:
        self.services = services
        self.settings = services.settings
        self.mailboxes = services.mailboxes
        self.link = link
        self.connection = Connection(services.settings.limits)
        self.login: Login | None = None
        self.selected: Selected | None = None
        self.login_failures = 0
        self.tag = b""
        """Of the command that runs."""
        self.client_name = ""
        """What the client calls itself (RFC 2971)."""
        self.identified = False
        """Whether that stands in the log."""
        self.append: Appended | None = None
        """What has come of an APPEND that is under way."""
        self.watch: Watching | None = None
        """What NOTIFY has asked for."""
        self.enabled: set[str] = set()
        """Extensions that the client has turned on (RFC 5161)."""
        self._incoming_octets = 0
        self._mailbox_stale = False
        self._only_hint: ModSeq | None = None
        self._account_stale = False
        self._ending: str | None = None
        self._started = services.clock.monotonic()
        self._active = self._started
        self._received = 0

    # -- from outside ---------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Octets of the client."""
        self.connection.receive_data(data)
        self._received += len(data)
        self.link.throttle(self.connection.buffered)
        self.link.wake()

    def receive_end(self) -> None:
        """There will be no more."""
        self.connection.receive_end()
        self.link.wake()

    def mailbox_changed(self, modseq: ModSeq) -> None:
        """Something happened to the selected mailbox, which is at `modseq` now."""
        self._only_hint = None if self._mailbox_stale else modseq
        self._mailbox_stale = True
        self.link.wake()

    def account_changed(self) -> None:
        """Something happened to the account."""
        self._account_stale = True
        if self.watch is not None:
            self.watch.account_changed()
        self.link.wake()

    def folder_changed(self, mailbox_id: MailboxId) -> None:
        """Something happened to a mailbox of the account, selected or not (RFC 5465)."""
        if self.watch is not None:
            self.watch.mailbox_changed(mailbox_id)
            self.link.wake()

    def end(self, reason: str) -> None:
        """Let the session end with a BYE as soon as it can."""
        self._ending = reason
        self.link.wake()

    # -- to the client --------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if data:
            self.link.write(data)

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """As `write` of the pieces joined."""
        self.link.write_all(pieces)

    async def drain(self) -> None:
        """Let the client read and the neighbours work; ends a session that must end."""
        await self.link.drain()
        await self._check_alive()

    async def beside(self, work: Callable[..., T], *arguments: object) -> T:
        """Do what would keep the loop for long in a thread, as soon as there is one for it."""
        async with self.services.long_work:
            return await asyncio.to_thread(work, *arguments)

    # -- from the client ------------------------------------------------------------------------

    async def event(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Event:
        """The next event, however long it takes within the timeouts; `meanwhile` before each wait."""
        while True:
            if meanwhile is not None:
                await meanwhile()
            seconds = self._seconds_left()
            if self.watch is not None and self.watch.behind:
                seconds = min(seconds, RETRY_SECONDS)
            event = await self.event_within(seconds)
            if event is not None:
                return event
            if self._seconds_left() <= 0:
                raise SessionOverError("Autologout; you were away for too long")

    async def event_within(self, seconds: float) -> Event | None:
        """The next event; None if the time ran out or something else happened first."""
        event = self._next_event()
        if event is None:
            before = self._received
            await self.link.wait(seconds)
            if self._received != before:
                self._active = self.services.clock.monotonic()
            await self._check_alive()
            event = self._next_event()
        return event

    def _next_event(self) -> Event | None:
        connection = self.connection
        bad = connection.bad_commands
        event = connection.next_event()
        self.write(connection.data_to_send())
        self.link.throttle(connection.buffered)
        if connection.bad_commands > bad:
            self.services.metrics.count("imap_bad_commands", connection.bad_commands - bad)
        if event is not None and not isinstance(event, Ended):
            self._active = self.services.clock.monotonic()
        return event

    def _seconds_left(self) -> float:
        now = self.services.clock.monotonic()
        if self.login is None:
            return self._started + self.settings.login_timeout_seconds - now
        return self._active + self.settings.idle_timeout_seconds - now

    async def _check_alive(self) -> None:
        if self._account_stale and self.login is not None:
            await self._check_account(self.login)
        if self._ending is not None:
            raise SessionOverError(self._ending)

    async def _check_account(self, login: Login) -> None:
        """End the session if its account may no longer do what the login allowed."""
        self._account_stale = False
        try:
            account = await self.mailboxes.account(login.account.id)
            revoked = await self.services.authenticator.was_revoked(login)
        except UnavailableError:
            self._account_stale = True
            return
        if account is None or account.state in {AccountState.CLOSED, AccountState.PURGING}:
            raise SessionOverError("This account is closed")
        if account.state is not login.account.state:
            raise SessionOverError("The state of this account has changed, log in again")
        if account.password_hash != login.account.password_hash:
            raise SessionOverError("The password was changed, log in again")
        if revoked:
            raise SessionOverError("The app password was revoked")

    @property
    def disabled(self) -> frozenset[str]:
        """Capabilities that this client is not offered."""
        disabled = self.settings.disabled_capabilities
        for mask in self.settings.client_masks:
            if self.client_name and mask.is_for(self.client_name):
                disabled |= mask.disabled
        return disabled

    def enable(self, names: Iterable[str]) -> list[str]:
        """Turn extensions on; returns those of `names` that were off."""
        turned_on = []
        for name in names:
            if name not in self.enabled:
                self.enabled |= {name, *ENABLED_BY[name]}
                turned_on.append(name)
        self.connection.utf8 = bool({"UTF8=ACCEPT", "IMAP4REV2"} & self.enabled)
        if self.selected is not None and self.rev2:
            self.selected.forget_recent()
        if self.selected is not None and "CONDSTORE" in self.enabled:
            self.selected.qresync = "QRESYNC" in self.enabled
            self.use_condstore()
        return turned_on

    @property
    def utf8(self) -> bool:
        """Whether UTF-8 is read and written (RFC 6855 §3)."""
        return self.connection.utf8

    @property
    def rev2(self) -> bool:
        """Whether IMAP4rev2 is spoken (RFC 9051)."""
        return "IMAP4REV2" in self.enabled

    @property
    def qresync(self) -> bool:
        return "QRESYNC" in self.enabled

    def use_condstore(self) -> None:
        """Begin to tell mod-sequences: the client has shown that it wants them (RFC 7162 §3.1)."""
        self.enabled.add("CONDSTORE")
        if self.selected is not None and not self.selected.condstore:
            self.selected.condstore = True
            code = b"HIGHESTMODSEQ %d" % self.selected.modseq
            self.write(responses.status(b"*", b"OK", "Mod-sequences are told", code=code))

    def expect_message(self, size_octets: int) -> bool:
        """Whether a message of that size may be taken into memory; 0 gives its room back."""
        registry = self.services.registry
        registry.incoming_octets -= self._incoming_octets
        self._incoming_octets = 0
        if registry.incoming_octets + size_octets > self.settings.max_incoming_octets:
            return False
        registry.incoming_octets += size_octets
        self._incoming_octets = size_octets
        return True

    # -- the account ----------------------------------------------------------------------------

    @property
    def account_id(self) -> AccountId:
        assert self.login is not None, "the state table asks for a login"
        return self.login.account.id

    @property
    def read_only(self) -> bool:
        return self.login is not None and self.login.read_only

    def logged_in(self, login: Login) -> None:
        self.login = login
        self.connection.state = State.AUTHENTICATED
        self._active = self.services.clock.monotonic()
        # What happened to the account between the check of the password and now counts too.
        self._account_stale = True

    # -- the selected mailbox -------------------------------------------------------------------

    @property
    def view(self) -> Selected:
        assert self.selected is not None, "the state table asks for a mailbox"
        return self.selected

    def select(self, selected: Selected | None, *, stale: bool = True) -> None:
        """Change the view; the registry learns what to tell us of.

        `stale` says whether something may have happened since the view was taken.
        """
        if self.selected is not None:
            self.services.registry.unwatch(self.selected.mailbox_id, self)
        self.selected = selected
        self._mailbox_stale = selected is not None and stale
        self._only_hint = None
        if selected is not None:
            self.services.registry.watch(selected.mailbox_id, self)
            self.connection.state = State.SELECTED
        elif self.login is not None:
            self.connection.state = State.AUTHENTICATED

    def watch_all(self, watch: Watching | None) -> None:
        """Be told of changes of all mailboxes, or no longer."""
        self.watch = watch
        registry = self.services.registry
        if self.login is not None:
            registry.follow(self.account_id, self, on=watch is not None)

    def expect_change(self) -> None:
        """An own command changed the mailbox: look at it before answering."""
        self._mailbox_stale = True
        self._only_hint = None

    def took_in(self, since: ModSeq, modseq: ModSeq) -> None:
        """The view has all that an own command changed between the two: do not read it again.

        The hint of that change has come before, and is forgotten if there was no other.
        """
        complete = self.view.caught_up(since, modseq)
        if complete and self._only_hint == modseq > since:
            self._mailbox_stale = False
            self._only_hint = None

    async def announce(self, *, expunge: bool) -> None:
        """Tell the client all that happened in its mailbox (RFC 3501 §5.2)."""
        if self.selected is None:
            return
        await self.refresh()
        self.write(self.selected.announce(expunge=expunge))
        self.selected.rebase(self.mailboxes.index_at_hand(self.selected.mailbox_id))

    async def refresh(self) -> None:
        """Let the view know what happened, before it is told."""
        if self.selected is not None and self._mailbox_stale:
            await self._refresh(self.selected)

    async def _refresh(self, selected: Selected) -> None:
        self._mailbox_stale = False
        self._only_hint = None
        try:
            changes = await self.mailboxes.changes(
                self.account_id,
                selected.mailbox_id,
                since=selected.modseq,
                claim_recent=selected.tells_recent and not selected.read_only,
            )
        except NotFoundError:
            raise SessionOverError("The selected mailbox was deleted") from None
        except UnavailableError:
            self._mailbox_stale = True
            log.warning("mailbox not refreshed", mailbox=selected.mailbox_id)
            return
        if changes.mailbox.highest_modseq == selected.modseq and not changes.entries:
            return  # nothing was read either
        selected.apply(
            changes.entries,
            changes.vanished,
            modseq=changes.mailbox.highest_modseq,
            recent_after=changes.recent_after,
        )
