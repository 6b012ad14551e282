"""Who may log in: one answer for IMAP, the portal and the phone menu.

Laws:
- An unknown name and a wrong password look the same and take the same time.
- The stored hash and the state are read at each login, before and after the check, so that what
  another process changed meanwhile holds.
- Failures are counted in the store: they last across connections, restarts and nodes. While it
  cannot write, this process counts for itself, and right and wrong are answered as ever.
- Why an account is closed is told only after the right password.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn

import structlog

from um.core.account import Account, AccountState
from um.core.at_once import glance_of
from um.core.credentials import AppPassword
from um.core.errors import (
    AccountClosedError,
    AuthenticationError,
    LockedOutError,
    NotFoundError,
    UnavailableError,
)
from um.core.ids import AccountId, CredentialId
from um.core.ports import Clock, Metrics, NoMetrics, PasswordHasher, Store, Transaction
from um.policy import lockout
from um.policy.lifecycle import Answer, Door, answer, closed_notice, suspended_notice
from um.policy.lockout import Pause
from um.service.failures import UnwrittenFailures
from um.service.passwords import UNMATCHABLE_HASH
from um.service.random_secrets import digest, plain_app_password
from um.service.recipients import login_txn
from um.service.settings import AccountSettings

log = structlog.get_logger(__name__)

MAX_SECRET_CHARACTERS = 1024
_USE_NOTED_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Login:
    """A successful login."""

    account: Account
    read_only: bool
    notice: str
    """What the owner should be told (a suspension and its reason); empty if nothing."""
    app_password: CredentialId | None = None
    """Which one opened it; None if it was the account's own password."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the store knows when a password arrives."""

    account: Account | None
    stored: str
    subjects: tuple[tuple[str, tuple[Pause, ...]], ...]
    """Failure counters that this attempt stands under, with their rules."""
    paused: bool
    failed_before: bool
    app_password: AppPassword | None = None
    """What was given is one of the account's, whose hash needs no argon2."""


class Authenticator:
    """Checks passwords and PINs."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hasher: PasswordHasher,
        settings: AccountSettings,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._glance = glance_of(store)
        self._clock = clock
        self._hasher = hasher
        self._settings = settings
        self._metrics = metrics or NoMetrics()
        self._unwritten = UnwrittenFailures()

    async def login(self, name: str, password: str, *, peer: str, door: Door = Door.IMAP) -> Login:
        """Check a login name (name or number, with or without our domain) and its password.

        Args:
            name: as typed.
            password: as typed; for IMAP also one of the account's app passwords.
            peer: address of the client, which the failures are counted for.
            door: where it is; decides by the life-cycle table.

        Raises:
            AuthenticationError: unknown name or wrong password.
            LockedOutError: too many failures; nothing was checked.
            AccountClosedError: right password, closed account; `public` says why and until when.
            UnavailableError: no answer is possible now.
        """
        now = self._clock.now()
        app_password = plain_app_password(password) if door is Door.IMAP else None

        def attempt_txn(tx: Transaction) -> _Attempt:
            attempt = self._attempt_txn(tx, name, peer, now)
            if attempt.account is None or app_password is None:
                return attempt
            found = tx.credentials.app_password(attempt.account.id, digest(app_password))
            return replace(attempt, app_password=found)

        attempt = await self._glance("login", attempt_txn)
        if attempt.paused:
            self._metrics.count("logins_locked_out")
            raise LockedOutError
        if attempt.account is not None and attempt.app_password is not None:
            account = await self._settled(attempt, attempt.account.id)
            await self._note_use(attempt.app_password, now)
            self._metrics.count("logins")
            return replace(_through(account, door), app_password=attempt.app_password.id)
        matches = await self._hasher.verify(_bounded(password), attempt.stored)
        if attempt.account is None or not matches:
            await self._fail(attempt.subjects, now)
            self._metrics.count("logins_failed")
            raise AuthenticationError
        account = await self._settled(attempt, attempt.account.id)
        self._metrics.count("logins")
        return _through(account, door)

    async def was_revoked(self, login: Login) -> bool:
        """Whether the app password that opened a session has been taken back since."""
        if login.app_password is None:
            return False
        owned = await self._store.read(
            "app-passwords", lambda tx: tx.credentials.app_passwords_of(login.account.id)
        )
        return all(each.id != login.app_password for each in owned)

    async def verify_pin(self, account_id: AccountId, pin: str) -> Account:
        """Check the PIN of a mailbox as keyed on a telephone.

        Raises AuthenticationError (wrong, or none is set), LockedOutError (ten failures in 24 h,
        whichever lines and calls they came from), NotFoundError.
        """
        now = self._clock.now()
        subjects = ((lockout.pin_subject(account_id), lockout.PIN_RULES),)

        def pin_txn(tx: Transaction) -> _Attempt:
            account = tx.accounts.get(account_id)
            if account is None or account.state is AccountState.PURGING:
                raise NotFoundError("There is no such account")
            stored = account.pin_hash or UNMATCHABLE_HASH
            return self._attempt(tx, account, stored, subjects, now)

        attempt = await self._store.read("verify-pin", pin_txn)
        if attempt.paused:
            self._metrics.count("pins_locked_out")
            raise LockedOutError
        matches = await self._hasher.verify(_bounded(pin), attempt.stored)
        if attempt.account is None or not matches:
            await self._fail(subjects, now)
            self._metrics.count("pins_failed")
            raise AuthenticationError
        # Guesses may come on many lines at once: what they failed meanwhile counts for this one.
        settled = await self._store.read("verify-pin", pin_txn)
        if settled.paused:
            self._metrics.count("pins_locked_out")
            raise LockedOutError
        if settled.account is None or settled.stored != attempt.stored:
            raise AuthenticationError
        if settled.failed_before:
            await self._clear(subjects)
        return settled.account

    async def refuse_pin(self, pin: str) -> NoReturn:
        """Take as long over the PIN of a mailbox that is not there. Raises AuthenticationError."""
        await self._hasher.verify(_bounded(pin), UNMATCHABLE_HASH)
        self._metrics.count("pins_failed")
        raise AuthenticationError

    def _attempt_txn(self, tx: Transaction, name: str, peer: str, now: datetime) -> _Attempt:
        account = login_txn(tx, name, self._settings)
        stored = (account.password_hash if account else None) or UNMATCHABLE_HASH
        who = account.id if account else name.strip().casefold()
        subjects = (
            (lockout.login_from_peer_subject(who, stored, peer), lockout.LOGIN_FROM_PEER_RULES),
            (lockout.login_subject(who, stored), lockout.LOGIN_RULES),
        )
        return self._attempt(tx, account, stored, subjects, now)

    def _attempt(
        self,
        tx: Transaction,
        account: Account | None,
        stored: str,
        subjects: tuple[tuple[str, tuple[Pause, ...]], ...],
        now: datetime,
    ) -> _Attempt:
        paused = failed_before = False
        for subject, rules in subjects:
            failures = self._failures(tx, subject, now - lockout.WINDOW)
            failed_before = failed_before or failures > 0
            pause = lockout.pause_after(failures, rules)
            if pause and self._failures(tx, subject, now - pause):
                paused = True
        return _Attempt(account, stored, subjects, paused, failed_before)

    async def _settled(self, attempt: _Attempt, account_id: AccountId) -> Account:
        """The account as it is after the check, which took a while."""
        account = await self._glance("login-state", lambda tx: tx.accounts.get(account_id))
        if account is None or account.password_hash != attempt.stored:
            raise AuthenticationError
        if attempt.failed_before:
            await self._clear(attempt.subjects)
        return account

    async def _note_use(self, password: AppPassword, now: datetime) -> None:
        """At most once a day: a mail program that logs in every minute writes no row each time."""
        if password.used_at is not None and now - password.used_at < _USE_NOTED_EVERY:
            return
        with suppress(UnavailableError):
            await self._store.run(
                "use-app-password", lambda tx: tx.credentials.touch_app_password(password.id, now)
            )

    def _failures(self, tx: Transaction, subject: str, since: datetime) -> int:
        unwritten = self._unwritten.failures(subject, since=since)
        return tx.lockouts.failures(subject, since=since) + unwritten

    async def _fail(
        self, subjects: tuple[tuple[str, tuple[Pause, ...]], ...], now: datetime
    ) -> None:
        def failed_txn(tx: Transaction) -> None:
            for subject, _ in subjects:
                tx.lockouts.record_failure(subject, now)

        try:
            await self._store.run("login-failed", failed_txn)
        except UnavailableError:
            # A wrong secret is wrong all the same, and a full disk gives no one free guesses.
            self._unwritten.record((subject for subject, _ in subjects), now)
            self._metrics.count("login_failures_unwritten")

    async def _clear(self, subjects: tuple[tuple[str, tuple[Pause, ...]], ...]) -> None:
        def clear_txn(tx: Transaction) -> None:
            for subject, _ in subjects:
                tx.lockouts.clear(subject)

        self._unwritten.clear(subject for subject, _ in subjects)
        # A full disk must not keep the owner out, who could make room; the count just stays.
        with suppress(UnavailableError):
            await self._store.run("login-cleared", clear_txn)


def _bounded(secret: str) -> str:
    """The secret, or one that matches nothing in place of one that nobody could have set."""
    return secret if len(secret) <= MAX_SECRET_CHARACTERS else ""


def _through(account: Account, door: Door) -> Login:
    match answer(account.state, door):
        case Answer.ALLOWED:
            return Login(account, read_only=False, notice="")
        case Answer.READ_ONLY:
            return Login(account, read_only=True, notice=suspended_notice(account))
        case Answer.UNKNOWN:
            raise AuthenticationError
        case Answer.REFUSED | Answer.REFUSED_FOR_NOW:
            log.info("login to a closed account", account=account.id)
            raise AccountClosedError(
                closed_notice(account),
                reason=account.state_reason,
                purge_at=account.purge_at,
                timezone=account.timezone,
            )
