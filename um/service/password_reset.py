"""A new password by a link that is mailed: for who has forgotten theirs.

Laws:
- The link goes to the account's confirmed addresses outside and nowhere else, not to one that was
  confirmed a moment ago, and opens once.
- Who asks learns nothing: the answer is given before anything is known of the name, and what is
  done afterwards wakes nobody.
- A stranger who asks takes nothing from the owner: a link is not replaced before the time that its
  mail promises is over, and a new one is mailed with what replaces it. So whoever asked last, a link
  that opens lies where the owner reads; the more are asked for, the longer each is good.
- What opens the account is made anew with the password: sessions and app passwords end.
- The link is in no table: it is made again from the house's key when the mail is rendered.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from um.core.account import Account, AuditRecord
from um.core.credentials import LinkPurpose, OneTimeLink
from um.core.errors import LockedOutError, NotFoundError, UMError
from um.core.forwarding import OutboxEntry, Purpose
from um.core.ids import OutboxId
from um.core.origin import origin
from um.core.ports import Clock, PasswordHasher, Store, Transaction
from um.policy.forwarding import reset_targets
from um.policy.lifecycle import Door, refusal
from um.service.accounts import check_password
from um.service.app_passwords import end_app_passwords_txn
from um.service.forward.signing import Signer, token_hash
from um.service.random_secrets import digest
from um.service.recipients import login_txn
from um.service.security_notices import SecurityNotices
from um.service.settings import AccountSettings
from um.service.unique import UniqueIds

log = structlog.get_logger(__name__)

PROMISED = timedelta(minutes=30)
"""How long a link opens, as its mail says."""
PROMISED_LONGER = timedelta(hours=3)
"""The same when MANY were mailed in a day: fewer mails then, and still always one that opens."""
MANY = 4
GRACE = timedelta(minutes=30)
"""How long it really opens beyond that, unless a new one is mailed: for who has just asked."""
WINDOW = timedelta(hours=24)
MOST_OF_PEER = 20
"""Requests of one address (one /64 of IPv6) in 24 hours."""
USE = "password-reset"
_WRONG_LINK = "This link is not valid any more"


class PasswordReset:
    """Mails links, and takes them back with a new password."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hasher: PasswordHasher,
        signer: Signer,
        notices: SecurityNotices,
        settings: AccountSettings,
        *,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hasher = hasher
        self._signer = signer
        self._notices = notices
        self._settings = settings
        self._new_id = new_id or UniqueIds()

    async def ask(self, *, peer: str) -> None:
        """Count a request, whatever it is for. Raises LockedOutError for who asks too often.

        `mail_link` is what is done then, after the answer.
        """
        now = self._clock.now()
        await self._store.run("ask-password-reset", lambda tx: _count_peer_txn(tx, peer, now))

    async def mail_link(self, name: str) -> None:
        """Mail a link, if the account of that login name has somewhere to mail it to.

        Raises nothing: nobody waits for it. The mail leaves when the outbox is looked at next, not
        at once, so that the work of it cannot be told apart either.
        """
        now = self._clock.now()

        def mail_link_txn(tx: Transaction) -> None:
            account = login_txn(tx, name, self._settings)
            if account is None or refusal(account, Door.PORTAL):
                return
            open_ = tx.credentials.link_of(account.id, LinkPurpose.RESET_PASSWORD)
            if open_ is None or open_.expires_at - GRACE <= now:
                self._write_txn(tx, account, now)

        try:
            await self._store.run("mail-password-reset", mail_link_txn)
        except UMError as error:
            log.warning("no password reset", reason=error.code)

    async def use(self, token: str, password: str) -> None:
        """Set a new password by a link; sessions and app passwords of the account end.

        Raises InvalidError for a password that cannot be (the link still opens), NotFoundError for
        a link that is unknown, used or too old, or whose account may not be changed.
        """
        check_password(password, self._settings)
        hashed, now = await self._hasher.hash(password), self._clock.now()

        key = token_hash(token)

        def use_txn(tx: Transaction) -> Account:
            account_id = tx.credentials.take_link(key, LinkPurpose.RESET_PASSWORD, now)
            account = tx.accounts.lock(account_id) if account_id else None
            if account is None or refusal(account, Door.PORTAL):
                raise NotFoundError(_WRONG_LINK)
            tx.accounts.save(replace(account, password_hash=hashed))
            tx.credentials.end_sessions_of(account.id)
            ended = end_app_passwords_txn(tx, account.id)
            detail = f"{ended} app passwords ended" if ended else ""
            tx.records.audit(AuditRecord(now, "link", "password", account.id, detail))
            return account

        account = await self._store.run("use-password-reset", use_txn)
        await self._notices.password_reset(account, key=key[:32])

    def _write_txn(self, tx: Transaction, account: Account, now: datetime) -> None:
        settled = now - timedelta(hours=self._settings.reset_after_hours)
        addresses = reset_targets(tx.addresses.of_account(account.id), settled)
        if not addresses:
            return
        promised = now + _promise_txn(tx, account, now)
        key = token_hash(reset_token(self._signer, account, promised))
        tx.credentials.add_link(
            OneTimeLink(key, account.id, LinkPurpose.RESET_PASSWORD, promised + GRACE)
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
                    detail=promised.isoformat(),
                )
            )
        tx.records.audit(AuditRecord(now, "login page", "password-reset", account.id))


def reset_token(signer: Signer, account: Account, promised: datetime) -> str:
    """What the link carries whose mail promises that it opens until then."""
    return signer.mac(USE, account.id, promised.isoformat())


def _promise_txn(tx: Transaction, account: Account, now: datetime) -> timedelta:
    """How long the next link is good, by how many were mailed lately; counts it."""
    subject = f"reset:{account.id}"
    mailed = tx.lockouts.failures(subject, since=now - WINDOW)
    tx.lockouts.record_failure(subject, now)
    return PROMISED_LONGER if mailed >= MANY else PROMISED


def _count_peer_txn(tx: Transaction, peer: str, now: datetime) -> None:
    subject = f"reset-peer:{digest(origin(peer))[:32]}"
    if tx.lockouts.failures(subject, since=now - WINDOW) >= MOST_OF_PEER:
        raise LockedOutError("Too many links were asked for from here, try again tomorrow")
    tx.lockouts.record_failure(subject, now)
