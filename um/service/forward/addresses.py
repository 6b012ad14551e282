"""An owner's addresses outside: nothing is sent to one before somebody there has followed a link.

Laws:
- The link is in no table: its token is made again from the house's key when the mail is rendered,
  and known by its hash. It opens once, and not for ever.
- So many links in a day and no more, whatever is added and removed.
- Whose mailbox it is, is told of a new address where the old ones are, before it is confirmed.
- Every method means the account it is given; a session passes its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from um.core.account import Account, AuditRecord
from um.core.errors import AlreadyExistsError, InvalidError, LockedOutError, NotFoundError
from um.core.events import OutboxFilled
from um.core.forwarding import AddressState, ForwardAddress, OutboxEntry, Purpose
from um.core.ids import AccountId, AddressId, OutboxId
from um.core.ports import Clock, EventBus, Store, Transaction
from um.policy.forwarding import (
    CONFIRMATION_AGE,
    CONFIRMATION_WINDOW,
    MAX_ADDRESSES,
    MAX_CONFIRMATIONS,
    is_address,
)
from um.policy.lifecycle import Door, refusal
from um.service.forward.plan import own_addresses
from um.service.forward.signing import Signer, token_hash
from um.service.recipients import check_proof
from um.service.security_notices import SecurityNotices
from um.service.unique import UniqueIds

USE = "confirmation"
_WRONG_LINK = "This link is not valid any more"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a link asks somebody to confirm."""

    account: Account
    address: ForwardAddress


class AddressBook:
    """Adds, confirms and removes. `bus` is told when a mail waits."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        clock: Clock,
        signer: Signer,
        notices: SecurityNotices,
        *,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._signer = signer
        self._notices = notices
        self._new_id = new_id or UniqueIds()

    async def every(self, account_id: AccountId) -> list[ForwardAddress]:
        """The account's addresses, oldest first."""
        return await self._store.read(
            "list-addresses", lambda tx: tx.addresses.of_account(account_id)
        )

    async def add(
        self,
        account_id: AccountId,
        address: str,
        *,
        actor: str = "operator",
        proof: Account | None = None,
    ) -> ForwardAddress:
        """Add an address, or write again to one that is not confirmed (any more).

        A mail with a link goes there; until it is followed nothing else does.

        Raises:
            InvalidError: no plain mail address, the mailbox's own, or one too many.
            AlreadyExistsError: it is confirmed.
            LockedOutError: too many links today.
            AuthenticationError: `proof` holds no more (`check_proof`).
            ReadOnlyError, AccountClosedError, NotFoundError: the account's state.
        """
        address = address.strip()
        if not is_address(address):
            raise InvalidError(
                "That is not a mail address such as anna@example.org", why="address_form"
            )
        now = self._clock.now()

        def add_address_txn(tx: Transaction) -> ForwardAddress:
            account = _changeable_txn(tx, account_id)
            check_proof(account, proof)
            if _without_tag(address).lower() in own_addresses(tx, account):
                raise InvalidError("That is the address of this mailbox itself", why="address_own")
            _count_link_txn(tx, account_id, now)
            open_ = self._opened(_known_or_new(tx, account, address, self._new_id, now), now)
            if tx.addresses.get(open_.id) is None:
                tx.addresses.add(open_)
            else:
                tx.addresses.save(open_)
            tx.outbox.add(_confirmation(open_, self._new_id(), now))
            _audit_txn(tx, account_id, "forward-address-add", actor, now)
            return open_

        added = await self._store.run("add-address", add_address_txn)
        self._bus.publish([OutboxFilled(account_id)])
        return added

    async def asked(self, token: str) -> Confirmation:
        """Whose link that is, for the page that asks. Raises NotFoundError."""
        now = self._clock.now()
        return await self._store.read("asked-address", lambda tx: _asked_txn(tx, token, now))

    async def confirm(self, token: str) -> Confirmation:
        """The link was followed and its button pressed: copies may go there. Once.

        Raises NotFoundError (unknown, used before, or expired), UnavailableError (try it again).
        """
        now = self._clock.now()
        asked = await self.asked(token)
        await self._notices.address_confirmed(
            asked.account, asked.address.address, key=token_hash(token)[:32]
        )

        def confirm_txn(tx: Transaction) -> Confirmation:
            asked = _asked_txn(tx, token, now)
            confirmed = replace(
                asked.address,
                state=AddressState.CONFIRMED,
                token_hash=None,
                token_expires_at=None,
                confirmed_at=now,
                bounces=0,
                bounced_at=None,
            )
            tx.addresses.save(confirmed)
            _audit_txn(tx, asked.account.id, "forward-address-confirm", "link", now)
            return Confirmation(asked.account, confirmed)

        return await self._store.run("confirm-address", confirm_txn)

    async def remove(
        self, account_id: AccountId, address: str, *, actor: str = "operator"
    ) -> ForwardAddress:
        """Remove an address, with what still waits for it. Raises NotFoundError, as `add`.

        A link for a forgotten password that is open ends: who reads the mail there may have it.
        """
        now = self._clock.now()

        def remove_address_txn(tx: Transaction) -> ForwardAddress:
            _changeable_txn(tx, account_id)
            found = tx.addresses.find(account_id, address.strip())
            if found is None:
                raise NotFoundError("There is no such address")
            tx.addresses.remove(found.id)
            tx.credentials.end_links_of(account_id)
            tx.outbox.cancel(account_id, found.address, now)
            _audit_txn(tx, account_id, "forward-address-remove", actor, now)
            return found

        return await self._store.run("remove-address", remove_address_txn)

    def token(self, address: ForwardAddress) -> str | None:
        """The token of an address's open link, for the mail that carries it; None if there is none."""
        if address.token_hash is None or address.token_expires_at is None:
            return None
        token = self._token(address.id, address.token_expires_at)
        return token if token_hash(token) == address.token_hash else None

    def _opened(self, address: ForwardAddress, now: datetime) -> ForwardAddress:
        expires_at = now + CONFIRMATION_AGE
        token = self._token(address.id, expires_at)
        return replace(address, token_hash=token_hash(token), token_expires_at=expires_at)

    def _token(self, address_id: AddressId, expires_at: datetime) -> str:
        return self._signer.mac(USE, address_id, expires_at.isoformat())


def _without_tag(address: str) -> str:
    """`anna@…` of `anna+tag@…` (RFC 5233); a number begins with `+` and has no tag."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}{local[1:].partition('+')[0]}@{domain}"


def _changeable_txn(tx: Transaction, account_id: AccountId) -> Account:
    account = tx.accounts.lock(account_id)
    if account is None:
        raise NotFoundError("There is no such account")
    if error := refusal(account, Door.PORTAL):
        raise error
    return account


def _known_or_new(
    tx: Transaction, account: Account, address: str, new_id: Callable[[], str], now: datetime
) -> ForwardAddress:
    known = tx.addresses.find(account.id, address)
    if known is not None:
        if known.state is AddressState.CONFIRMED:
            raise AlreadyExistsError(f"{known.address} is confirmed already")
        return known
    if len(tx.addresses.of_account(account.id)) >= MAX_ADDRESSES:
        raise InvalidError(
            f"There are {MAX_ADDRESSES} addresses already: remove one first",
            why="addresses_many",
            most=MAX_ADDRESSES,
        )
    return ForwardAddress(AddressId(new_id()), account.id, address, now)


def _count_link_txn(tx: Transaction, account_id: AccountId, now: datetime) -> None:
    subject = f"confirmation:{account_id}"
    if tx.lockouts.failures(subject, since=now - CONFIRMATION_WINDOW) >= MAX_CONFIRMATIONS:
        raise LockedOutError("Too many addresses were to be confirmed today, try again tomorrow")
    tx.lockouts.record_failure(subject, now)


def _confirmation(address: ForwardAddress, entry_id: str, now: datetime) -> OutboxEntry:
    return OutboxEntry(
        id=OutboxId(entry_id),
        account_id=address.account_id,
        purpose=Purpose.CONFIRMATION,
        target=address.address,
        created_at=now,
        next_try=now,
        detail=address.id,
    )


def _asked_txn(tx: Transaction, token: str, now: datetime) -> Confirmation:
    address = tx.addresses.by_token(token_hash(token))
    expires_at = address.token_expires_at if address else None
    account = tx.accounts.get(address.account_id) if address else None
    if address is None or account is None or expires_at is None or expires_at <= now:
        raise NotFoundError(_WRONG_LINK)
    if refusal(account, Door.PORTAL) is not None:
        raise NotFoundError(_WRONG_LINK)
    return Confirmation(account, address)


def _audit_txn(
    tx: Transaction, account_id: AccountId, action: str, actor: str, now: datetime
) -> None:
    # Not the address: the log is the operator's, the address its owner's.
    tx.records.audit(AuditRecord(now, actor, action, account_id))
