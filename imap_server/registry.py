"""Who is connected, to which account and mailbox: for the caps, and to pass events on."""

from collections import Counter, defaultdict
from typing import Protocol, TypeVar

from um.core.events import AccountChanged, MailboxChanged
from um.core.ids import AccountId, MailboxId, ModSeq
from um.core.origin import origin

K = TypeVar("K")


class Session(Protocol):
    """What the registry tells a session."""

    def mailbox_changed(self, modseq: ModSeq) -> None: ...

    def account_changed(self) -> None: ...

    def folder_changed(self, mailbox_id: MailboxId) -> None: ...

    def end(self, reason: str) -> None: ...


class Registry:
    """All sessions of one server. Call it on the loop's thread only."""

    def __init__(self) -> None:
        self.sessions: set[Session] = set()
        self.hints = 0
        """Changes of mailboxes that were told of so far, whoever looks at them."""
        self.incoming_octets = 0
        """Messages of APPEND that are on their way in, of all sessions together."""
        self._addresses: Counter[str] = Counter()
        self._accounts: defaultdict[AccountId, set[Session]] = defaultdict(set)
        self._followers: defaultdict[AccountId, set[Session]] = defaultdict(set)
        self._mailboxes: defaultdict[MailboxId, set[Session]] = defaultdict(set)

    def connect(self, session: Session, address: str, *, limit: int) -> bool:
        """Take a connection in; False if its address (its /64 of IPv6) has `limit` already."""
        if self._addresses[origin(address)] >= limit:
            return False
        self._addresses[origin(address)] += 1
        self.sessions.add(session)
        return True

    def disconnect(self, session: Session, address: str) -> None:
        self.sessions.discard(session)
        where = origin(address)
        self._addresses[where] -= 1
        if self._addresses[where] <= 0:
            del self._addresses[where]

    def enter(self, account_id: AccountId, session: Session, *, limit: int) -> bool:
        """Note a login; False if the account has `limit` sessions already."""
        if len(self._accounts.get(account_id, ())) >= limit:
            return False
        self._accounts[account_id].add(session)
        return True

    def leave(self, account_id: AccountId, session: Session) -> None:
        _drop(self._accounts, account_id, session)

    def watch(self, mailbox_id: MailboxId, session: Session) -> None:
        self._mailboxes[mailbox_id].add(session)

    def unwatch(self, mailbox_id: MailboxId, session: Session) -> None:
        _drop(self._mailboxes, mailbox_id, session)

    def follow(self, account_id: AccountId, session: Session, *, on: bool) -> None:
        """Pass changes of all mailboxes of the account on to the session, or no longer."""
        if on:
            self._followers[account_id].add(session)
        else:
            _drop(self._followers, account_id, session)

    def on_mailbox_changed(self, event: MailboxChanged) -> None:
        """Pass it on to those who look at that mailbox, or at all of the account."""
        self.hints += 1
        for session in tuple(self._mailboxes.get(event.mailbox_id, ())):
            session.mailbox_changed(event.modseq)
        for session in tuple(self._followers.get(event.account_id, ())):
            session.folder_changed(event.mailbox_id)

    def on_account_changed(self, event: AccountChanged) -> None:
        """Pass it on to those who are logged in to that account."""
        for session in tuple(self._accounts.get(event.account_id, ())):
            session.account_changed()


def _drop(places: defaultdict[K, set[Session]], key: K, session: Session) -> None:
    places[key].discard(session)
    if not places[key]:
        del places[key]
