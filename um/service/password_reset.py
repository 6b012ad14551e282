"""A new password by a link that is mailed: for who has forgotten theirs.

Laws:
- The link goes to the account's confirmed addresses outside and nowhere else, not to one that was
  confirmed a moment ago, opens once and for half an hour, and an earlier one ends with it.
- Who asks learns nothing: the answer and its work are the same whether or not there is such an
  account, whether or not it has an address.
- The link is in no table: it is made again from the house's key when the mail is rendered.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from um.core.account import Account, AuditRecord
from um.core.credentials import LinkPurpose, OneTimeLink
from um.core.errors import LockedOutError, NotFoundError
from um.core.events import OutboxFilled
from um.core.forwarding import OutboxEntry, Purpose
from um.core.ids import OutboxId
from um.core.ports import Clock, EventBus, PasswordHasher, Store, Transaction
from um.policy.forwarding import reset_targets
from um.policy.lifecycle import Door, refusal
from um.service.accounts import check_password
from um.service.forward.signing import Signer, token_hash
from um.service.random_secrets import digest
from um.service.recipients import login_txn
from um.service.settings import AccountSettings
from um.service.unique import UniqueIds

LINK_AGE = timedelta(minutes=30)
WINDOW = timedelta(hours=24)
MOST_OF_ACCOUNT = 5
"""Links in 24 hours: nobody shall fill an owner's mailbox outside. More are asked for in vain."""
MOST_OF_PEER = 20
"""Requests of one address in 24 hours."""
USE = "password-reset"
_WRONG_LINK = "This link is not valid any more"


class PasswordReset:
    """Mails links, and takes them back with a new password."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        clock: Clock,
        hasher: PasswordHasher,
        signer: Signer,
        settings: AccountSettings,
        *,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._hasher = hasher
        self._signer = signer
        self._settings = settings
        self._new_id = new_id or UniqueIds()

    async def ask(self, name: str, *, peer: str) -> None:
        """Mail a link, if the account of that login name has somewhere to mail it to.

        Raises LockedOutError for an address that asks too often.
        """
        now = self._clock.now()

        def ask_txn(tx: Transaction) -> Account | None:
            _count_peer_txn(tx, peer, now)
            account = login_txn(tx, name, self._settings)
            subject = f"reset:{account.id if account else digest(name.strip().casefold())[:32]}"
            asked = tx.lockouts.failures(subject, since=now - WINDOW)
            tx.lockouts.record_failure(subject, now)
            if account is None or asked >= MOST_OF_ACCOUNT or refusal(account, Door.PORTAL):
                return None
            self._write_txn(tx, account, now)
            return account

        account = await self._store.run("ask-password-reset", ask_txn)
        if account is not None:
            self._bus.publish([OutboxFilled(account.id)])

    async def use(self, token: str, password: str) -> None:
        """Set a new password by a link; all sessions of the account end.

        Raises InvalidError for a password that cannot be (the link still opens), NotFoundError for
        a link that is unknown, used or too old, or whose account may not be changed.
        """
        check_password(password, self._settings)
        hashed, now = await self._hasher.hash(password), self._clock.now()

        def use_txn(tx: Transaction) -> None:
            key = token_hash(token)
            account_id = tx.credentials.take_link(key, LinkPurpose.RESET_PASSWORD, now)
            account = tx.accounts.lock(account_id) if account_id else None
            if account is None or refusal(account, Door.PORTAL):
                raise NotFoundError(_WRONG_LINK)
            tx.accounts.save(replace(account, password_hash=hashed))
            tx.credentials.end_sessions_of(account.id)
            tx.records.audit(AuditRecord(now, "link", "password", account.id))

        await self._store.run("use-password-reset", use_txn)

    def _write_txn(self, tx: Transaction, account: Account, now: datetime) -> None:
        settled = now - timedelta(hours=self._settings.reset_after_hours)
        addresses = reset_targets(tx.addresses.of_account(account.id), settled)
        if not addresses:
            return
        expires_at = now + LINK_AGE
        key = token_hash(reset_token(self._signer, account, expires_at))
        tx.credentials.add_link(
            OneTimeLink(key, account.id, LinkPurpose.RESET_PASSWORD, expires_at)
        )
        for address in addresses:
            tx.outbox.add(
                OutboxEntry(
                    id=OutboxId(self._new_id()),
                    account_id=account.id,
                    purpose=Purpose.PASSWORD_RESET,
                    target=address.address,
                    created_at=now,
                    next_try=now,
                    detail=expires_at.isoformat(),
                )
            )
        tx.records.audit(AuditRecord(now, "login page", "password-reset", account.id))


def reset_token(signer: Signer, account: Account, expires_at: datetime) -> str:
    """What the link of that end carries."""
    return signer.mac(USE, account.id, expires_at.isoformat())


def _count_peer_txn(tx: Transaction, peer: str, now: datetime) -> None:
    subject = f"reset-peer:{digest(peer)[:32]}"
    if tx.lockouts.failures(subject, since=now - WINDOW) >= MOST_OF_PEER:
        raise LockedOutError("Too many links were asked for from here, try again tomorrow")
    tx.lockouts.record_failure(subject, now)
