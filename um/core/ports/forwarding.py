"""Ports of what leaves the house: addresses outside, outbox, relay, webhooks, letters."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from um.core.forwarding import ForwardAddress, OutboxEntry, OutboxState, OutgoingMail
from um.core.ids import AccountId, AddressId, ContentId, OutboxId
from um.core.letter import Letter


class ForwardAddresses(Protocol):
    """Addresses outside, of all accounts. Compared within an account without regard to case."""

    def add(self, address: ForwardAddress) -> None:
        """Raises AlreadyExistsError if the account has it, NotFoundError without the account."""
        ...

    def get(self, address_id: AddressId) -> ForwardAddress | None: ...

    def find(self, account_id: AccountId, address: str) -> ForwardAddress | None: ...

    def by_token(self, token_hash: str) -> ForwardAddress | None:
        """The address that a link confirms; whether it has expired is the caller's to see."""
        ...

    def of_account(self, account_id: AccountId) -> list[ForwardAddress]:
        """Oldest first."""
        ...

    def save(self, address: ForwardAddress) -> None:
        """Replace the row of the same id; harmless if it is gone."""
        ...

    def remove(self, address_id: AddressId) -> None:
        """Harmless if it is gone."""
        ...


class Outbox(Protocol):
    """The durable queue of what leaves the house.

    A row goes with its account. One whose message is expunged stays, with `content_id` None.
    """

    def add(self, entry: OutboxEntry) -> None:
        """Raises NotFoundError if its account or message is not there."""
        ...

    def get(self, entry_id: OutboxId) -> OutboxEntry | None: ...

    def lease(
        self, now: datetime, until: datetime, *, limit: int, webhooks: bool | None = None
    ) -> list[OutboxEntry]:
        """Take waiting rows that are due and not leased, the longest due first.

        No one else gets them before `until` (which may be on another node at the same time).
        `webhooks` takes those only, or all others; None takes any.
        """
        ...

    def settle(
        self, entry_id: OutboxId, state: OutboxState, at: datetime, *, error: str = ""
    ) -> bool:
        """Note how a row ended; False if it is gone (with its account)."""
        ...

    def retry_at(self, entry_id: OutboxId, at: datetime, *, error: str) -> bool:
        """Count one attempt, end the lease and wait until `at`; False if the row is gone."""
        ...

    def of_account(self, account_id: AccountId, *, limit: int = 100) -> list[OutboxEntry]:
        """Newest first."""
        ...

    def of_content(self, content_id: ContentId) -> list[OutboxEntry]:
        """All rows about one message, oldest first."""
        ...

    def waiting(self, *, limit: int = 1000) -> list[OutboxEntry]:
        """Of all accounts, the next to be tried first."""
        ...

    def count_waiting(self) -> int: ...

    def ended_badly(self, *, limit: int = 1000) -> list[OutboxEntry]:
        """What was refused, given up or came back, of all accounts, the last to end first."""
        ...

    def next_due(self, *, webhooks: bool | None = None) -> datetime | None:
        """When the next waiting row that nobody has leased is due, or its lease ends.

        `webhooks` as in `lease`.
        """
        ...

    def hurry(self, now: datetime, *, account_id: AccountId | None = None) -> int:
        """Let what waits (of one account) and is not leased be due now; returns how many."""
        ...

    def release(self) -> int:
        """End all leases: for the only process there is, when it starts."""
        ...

    def cancel(self, account_id: AccountId, target: str, at: datetime) -> int:
        """End what waits for a target, which is not to be written to any more; returns how many."""
        ...

    def forget(self, before: datetime) -> int:
        """Drop what ended before that instant; returns how many rows."""
        ...


class Relay(Protocol):
    """The mail server that takes what leaves the house."""

    async def send(self, mail: OutgoingMail) -> None:
        """Hand one mail over: when this returns, the relay has answered for it (RFC 5321 §4.2.5).

        Raises RelayDeferredError (also when the answer after the final dot never came, so that
        the mail may have been taken), RelayRefusedError.
        """
        ...


class Webhooks(Protocol):
    """Posts events to an operator's own programs."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when the answer was 2xx. Raises RelayDeferredError, RelayRefusedError."""
        ...


class Letters(Protocol):
    """The wording of mail that leaves the house, from templates."""

    def write(self, name: str, language: str, values: Mapping[str, object]) -> Letter:
        """The letter `name` in the language nearest to `language`. Values are hostile input."""
        ...
