"""What an operator does with accounts: add, show, suspend, close, secrets, voicemail.

Laws:
- Every change is one transaction with its audit record; who did it is `actor`.
- A move of life that `um.policy.lifecycle` does not have raises LifeCycleError and changes nothing.
- Closing fixes the purge date; it never moves afterwards, whatever the settings become.
- Numbers are `um.service.numbering`'s business, save that they follow the account's life.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from um.core.account import (
    MIN_QUOTA_OCTETS,
    Account,
    AccountState,
    AuditRecord,
    Number,
    NumberState,
    NumberUse,
    Usage,
)
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.message import INBOX, TRASH, MessageKind
from um.core.ports import Clock, PasswordHasher, Store, Transaction
from um.policy import lockout
from um.policy.calendar import zone
from um.policy.lifecycle import LifeEvent, move, purge_due_at
from um.policy.names import account_name
from um.policy.pin import check_pin
from um.policy.retention import hold_until
from um.service.app_passwords import end_app_passwords_txn
from um.service.numbering import add_number_txn
from um.service.numbers import parse_number
from um.service.recipients import check_proof, locked_txn, named_txn
from um.service.settings import AccountSettings

MAX_PASSWORD_OCTETS = 1024
MAX_RING_SECONDS = 180
"""Callers give up before that, and carriers cut in (timer C of RFC 3261 §16.6)."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What is said when an account is added; None means the operator's default."""

    name: str
    numbers: Sequence[tuple[str, NumberUse]] = ()
    full_name: str = ""
    timezone: str | None = None
    language: str | None = None
    quota_octets: int | None = None


@dataclass(frozen=True, slots=True)
class AccountOverview:
    """An account as an operator sees it."""

    account: Account
    numbers: list[Number]
    usage: Usage
    counts: dict[MessageKind, int]


class AccountService:
    """Use cases on accounts, by name."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hasher: PasswordHasher,
        settings: AccountSettings,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hasher = hasher
        self._settings = settings
        self._new_id = new_id

    async def add(
        self,
        new: NewAccount,
        *,
        password: str | None = None,
        pin: str | None = None,
        actor: str = "operator",
    ) -> Account:
        """Create an account with INBOX and Trash, its numbers and, if given, its secrets.

        Raises AlreadyExistsError (name or number taken or held), InvalidError.
        """
        account = self._account(new)
        if password is not None:
            account = replace(account, password_hash=await self._hash_password(password))
        if pin is not None:
            account = replace(account, pin_hash=await self._hasher.hash(pin))
        region = self._settings.default_region
        numbers = [Number(parse_number(text, region), account.id, use) for text, use in new.numbers]
        if pin is not None:
            self._check_pin(pin, numbers)

        def add_account_txn(tx: Transaction) -> Account:
            tx.accounts.add(account)
            tx.mailboxes.create(account.id, INBOX)
            tx.mailboxes.create(account.id, TRASH, special_use="\\Trash")
            for name in (INBOX, TRASH):
                tx.mailboxes.subscribe(account.id, name, on=True)
            for number in numbers:
                add_number_txn(tx, number, account.created_at)
            self._audit(tx, account, "add", actor)
            return account

        return await self._store.run("add-account", add_account_txn)

    async def show(self, name: str) -> AccountOverview:
        """Raises NotFoundError."""
        now = self._clock.now()
        return await self._store.read(
            "show-account",
            lambda tx: _overview(tx, named_txn(tx, name, self._settings.domain), now),
        )

    async def page(self, *, after: str = "", limit: int = 100) -> list[AccountOverview]:
        """At most `limit` accounts whose names come after `after`, by name."""
        now = self._clock.now()
        return await self._store.read(
            "page-accounts",
            lambda tx: [_overview(tx, each, now) for each in tx.accounts.page(after, limit)],
        )

    async def every(self) -> list[AccountOverview]:
        """All accounts, by name."""
        now = self._clock.now()
        return await self._store.read(
            "list-accounts", lambda tx: [_overview(tx, each, now) for each in tx.accounts.every()]
        )

    async def suspend(self, name: str, *, reason: str = "", actor: str = "operator") -> Account:
        """Read only from now on, with the reason shown."""

        def suspend_txn(account: Account, now: datetime) -> Account:
            return replace(account, suspended_at=now, state_reason=reason)

        return await self._move(name, LifeEvent.SUSPEND, suspend_txn, actor, reason)

    async def resume(self, name: str, *, reason: str = "", actor: str = "operator") -> Account:
        """End a suspension; `reason` is kept in the audit log."""

        def resume_txn(account: Account, _: datetime) -> Account:
            return replace(account, suspended_at=None, state_reason="")

        return await self._move(name, LifeEvent.RESUME, resume_txn, actor, reason)

    async def close(self, name: str, *, reason: str = "", actor: str = "operator") -> Account:
        """End the service: numbers stop, data is kept until the purge date that is fixed now.

        The portal's sessions end for good: reopened, the owner signs in again.
        """

        def close_txn(account: Account, now: datetime) -> Account:
            months = self._settings.purge_after_months
            due = purge_due_at(now, months, account.timezone)
            return replace(
                account, closed_at=now, purge_at=due, suspended_at=None, state_reason=reason
            )

        return await self._move(name, LifeEvent.CLOSE, close_txn, actor, reason)

    async def reopen(self, name: str, *, reason: str = "", actor: str = "operator") -> Account:
        """Undo a closure, with everything in place, numbers too; `reason` is for the audit log."""

        def reopen_txn(account: Account, _: datetime) -> Account:
            return replace(account, closed_at=None, purge_at=None, state_reason="")

        return await self._move(name, LifeEvent.REOPEN, reopen_txn, actor, reason)

    async def set_legal_hold(
        self, name: str, *, on: bool, reason: str, actor: str = "operator"
    ) -> Account:
        """Keep everything of the account from being deleted, whoever asks, or end that.

        In every state of its life. Raises InvalidError without a reason, NotFoundError.
        """
        if on and not reason.strip():
            raise InvalidError("A legal hold needs its reason")
        now = self._clock.now()

        def hold_txn(tx: Transaction) -> Account:
            account = locked_txn(tx, name, self._settings.domain)
            since = (account.legal_hold_at or now) if on else None
            changed = replace(account, legal_hold_at=since, legal_hold_reason=reason if on else "")
            tx.accounts.save(changed)
            self._audit(tx, account, "legal-hold" if on else "legal-hold-ended", actor, reason)
            return changed

        return await self._store.run("legal-hold", hold_txn)

    async def set_password(
        self,
        name: str,
        password: str,
        *,
        actor: str = "operator",
        keep_session: str = "",
        end_app_passwords: bool = False,
        proof: Account | None = None,
    ) -> None:
        """Replace the password; what was locked by wrong ones opens with it.

        All portal sessions of the account end, but the one whose `secret_hash` is `keep_session`,
        and so does a link that was mailed to reset the old one.
        App passwords stay, as each is taken back alone, unless `end_app_passwords`.
        Raises AuthenticationError if `proof` holds no more (`check_proof`).
        """
        hashed = await self._hash_password(password)

        def set_password_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            check_proof(account, proof)
            tx.accounts.save(replace(account, password_hash=hashed))
            tx.credentials.end_sessions_of(account.id, but=keep_session)
            tx.credentials.end_links_of(account.id)
            ended = end_app_passwords_txn(tx, account.id) if end_app_passwords else 0
            detail = f"{ended} app passwords ended" if ended else ""
            self._audit(tx, account, "password", actor, detail)

        await self._store.run("set-password", set_password_txn)

    async def set_pin(
        self, name: str, pin: str, *, actor: str = "operator", proof: Account | None = None
    ) -> None:
        """Replace the phone PIN and lift its lock.

        Raises InvalidError if it is too easy, AuthenticationError if `proof` holds no more.
        """
        hashed = await self._hasher.hash(pin)

        def set_pin_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            check_proof(account, proof)
            self._check_pin(pin, tx.numbers.of_account(account.id))
            tx.accounts.save(replace(account, pin_hash=hashed))
            tx.lockouts.clear(lockout.pin_subject(account.id))
            self._audit(tx, account, "pin", actor)

        await self._store.run("set-pin", set_pin_txn)

    async def clear_pin(self, name: str, *, actor: str = "operator") -> None:
        """Remove the phone PIN, and its lock: the next call from the own line sets a new one."""

        def clear_pin_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            tx.accounts.save(replace(account, pin_hash=None))
            tx.lockouts.clear(lockout.pin_subject(account.id))
            self._audit(tx, account, "pin", actor, "cleared")

        await self._store.run("clear-pin", clear_pin_txn)

    async def preferences(self, name: str) -> dict[str, str]:
        """What was chosen for the account, by key; what was not is not there."""
        return await self._store.read(
            "show-preferences",
            lambda tx: tx.accounts.preferences(named_txn(tx, name, self._settings.domain).id),
        )

    async def set_preferences(
        self, name: str, values: Mapping[str, str], *, actor: str = "operator"
    ) -> None:
        """Choose for the account; keys that are not named stay as they are."""

        def set_preferences_txn(tx: Transaction) -> None:
            account = named_txn(tx, name, self._settings.domain)
            for key, value in values.items():
                tx.accounts.set_preference(account.id, key, value)
                self._audit(tx, account, "preference", actor, f"{key}={value}")

        await self._store.run("set-preferences", set_preferences_txn)

    async def set_voicemail(self, name: str, *, on: bool, actor: str = "operator") -> None:
        """Switch answering on or off; kept messages stay."""

        def set_voicemail_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            tx.accounts.save(replace(account, voicemail_enabled=on))
            self._audit(tx, account, "voicemail", actor, "on" if on else "off")

        await self._store.run("set-voicemail", set_voicemail_txn)

    async def set_ring_seconds(
        self, name: str, seconds: int | None, *, actor: str = "operator"
    ) -> None:
        """How long calls ring before voicemail answers; None: as the operator's default says.

        Raises InvalidError outside 0 to MAX_RING_SECONDS.
        """
        if seconds is not None and not 0 <= seconds <= MAX_RING_SECONDS:
            raise InvalidError(f"The ring time is 0 to {MAX_RING_SECONDS} seconds")

        def set_ring_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            tx.accounts.save(replace(account, ring_seconds=seconds))
            detail = "default" if seconds is None else str(seconds)
            self._audit(tx, account, "ring", actor, detail)

        await self._store.run("set-ring", set_ring_txn)

    async def _move(
        self,
        name: str,
        event: LifeEvent,
        change: Callable[[Account, datetime], Account],
        actor: str,
        detail: str = "",
    ) -> Account:
        now = self._clock.now()

        def move_txn(tx: Transaction) -> Account:
            account = locked_txn(tx, name, self._settings.domain)
            state = move(account.state, event)
            changed = replace(change(account, now), state=state)
            tx.accounts.save(changed)
            self._move_numbers(tx, changed, now)
            if state is AccountState.CLOSED:
                tx.credentials.end_sessions_of(account.id)
                tx.credentials.end_links_of(account.id)
            self._audit(tx, account, event, actor, detail)
            return changed

        return await self._store.run(f"{event}-account", move_txn)

    def _move_numbers(self, tx: Transaction, account: Account, now: datetime) -> None:
        """Numbers stop with the account, held from that moment on, and start again with it."""
        closed = account.state is AccountState.CLOSED
        until = hold_until(now, self._settings.number_hold_months, account.timezone)
        for number in tx.numbers.of_account(account.id):
            if closed and number.state is NumberState.ACTIVE:
                tx.numbers.set_state(number.e164, NumberState.SUSPENDED, hold_until=until)
            if not closed and number.state is NumberState.SUSPENDED:
                tx.numbers.set_state(number.e164, NumberState.ACTIVE)

    def _account(self, new: NewAccount) -> Account:
        settings = self._settings
        quota = new.quota_octets if new.quota_octets is not None else settings.quota_octets
        if quota < MIN_QUOTA_OCTETS:
            raise InvalidError("A mailbox has at least 1 MiB")
        timezone = new.timezone or settings.timezone
        zone(timezone)
        return Account(
            id=AccountId(self._new_id()),
            name=account_name(new.name),
            domain=settings.domain,
            created_at=self._clock.now(),
            full_name=new.full_name,
            timezone=timezone,
            language=new.language or settings.language,
            quota_octets=quota,
        )

    async def _hash_password(self, password: str) -> str:
        check_password(password, self._settings)
        return await self._hasher.hash(password)

    def _check_pin(self, pin: str, numbers: Sequence[Number]) -> None:
        check_pin(
            pin,
            [number.e164 for number in numbers],
            min_digits=self._settings.min_pin_digits,
            max_digits=self._settings.max_pin_digits,
        )

    def _audit(
        self, tx: Transaction, account: Account, action: str, actor: str, detail: str = ""
    ) -> None:
        at = self._clock.now()
        tx.records.audit(AuditRecord(at, actor, action, account.id, detail))


def check_password(password: str, settings: AccountSettings) -> None:
    """Raises InvalidError for one that cannot be."""
    if len(password) < settings.min_password_characters:
        fewest = settings.min_password_characters
        raise InvalidError(
            f"A password has at least {fewest} characters", why="password_short", fewest=fewest
        )
    if not password.isprintable() or len(password.encode()) > MAX_PASSWORD_OCTETS:
        raise InvalidError(
            "A password has printable characters only, 1024 octets at most", why="password_letters"
        )


def _overview(tx: Transaction, account: Account, now: datetime) -> AccountOverview:
    return AccountOverview(
        account=account,
        numbers=sorted(tx.numbers.of_account(account.id), key=lambda number: number.e164),
        usage=tx.accounts.usage(account.id, now),
        counts=tx.accounts.counts(account.id),
    )
