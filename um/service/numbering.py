"""What an operator does with telephone numbers: give, take away, hold, free, alias.

Laws:
- A number belongs to at most one account; one that left an account is held before another gets it.
  The account that had it last may have it back at once: its own audit log tells, and goes with it.
- A hold begins when the number stops serving: at removal, or earlier at its account's closure.
- Every change is one transaction with its audit record.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from um.core.account import Account, AccountState, AuditRecord, Number, NumberState, NumberUse
from um.core.errors import AlreadyExistsError, LifeCycleError, NotFoundError
from um.core.ids import E164
from um.core.ports import Clock, Store, Transaction
from um.policy.lifecycle import closed_notice
from um.policy.retention import hold_until
from um.service.numbers import check_alias, parse_number
from um.service.recipients import named_txn
from um.service.settings import AccountSettings

T = TypeVar("T")

REMOVED = "number-remove"


@dataclass(frozen=True, slots=True)
class _Change:
    """One number of one account, under change."""

    tx: Transaction
    account: Account
    e164: E164
    now: datetime

    def own(self) -> Number:
        """Raises NotFoundError unless the account has the number."""
        number = self.tx.numbers.get(self.e164)
        if number is None or number.account_id != self.account.id:
            raise NotFoundError(f"{self.account.name} has no number {self.e164}")
        return number

    def had_last(self, held: Number) -> bool:
        """Whether it was this account that the number was taken from, for this very hold.

        The end of the hold tells it from an earlier removal, which others may have come after.
        """
        removal = (REMOVED, _removal(self.e164, held))
        records = self.tx.records.audit_of(self.account.id)
        return any((record.action, record.detail) == removal for record in records)


class NumberService:
    """Use cases on telephone numbers. Numbers are taken in any spelling."""

    def __init__(self, store: Store, clock: Clock, settings: AccountSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def add(
        self,
        name: str,
        number: str,
        *,
        use: NumberUse = NumberUse.BOTH,
        actor: str = "operator",
    ) -> Number:
        """Give the account a number, or give it back while it is held.

        Raises AlreadyExistsError, InvalidError, LifeCycleError.
        """

        def add_txn(change: _Change) -> Number:
            account = change.account
            if account.state in (AccountState.CLOSED, AccountState.PURGING):
                raise LifeCycleError(closed_notice(account))
            held = change.tx.numbers.get(change.e164)
            if held is not None and held.state is NumberState.HELD and change.had_last(held):
                change.tx.numbers.free(change.e164)
            added = Number(change.e164, account.id, use)
            add_number_txn(change.tx, added, change.now)
            return added

        return await self._change(name, number, "number-add", add_txn, actor)

    async def remove(self, name: str, number: str, *, actor: str = "operator") -> Number:
        """Take the number away; it is held from others for the operator's months."""

        def remove_txn(change: _Change) -> Number:
            own = change.own()
            months = self._settings.number_hold_months
            until = own.hold_until or hold_until(change.now, months, change.account.timezone)
            change.tx.numbers.hold(change.e164, until)
            return replace(own, account_id=None, state=NumberState.HELD, hold_until=until)

        return await self._change(name, number, REMOVED, remove_txn, actor, detail=_removal)

    async def set_use(
        self, name: str, number: str, use: NumberUse, *, actor: str = "operator"
    ) -> Number:
        """Say what the number takes: voice, fax or both."""

        def set_use_txn(change: _Change) -> Number:
            own = change.own()
            change.tx.numbers.set_use(change.e164, use)
            return replace(own, use=use)

        return await self._change(name, number, "number-use", set_use_txn, actor)

    async def add_alias(
        self, name: str, number: str, alias: str, *, actor: str = "operator"
    ) -> None:
        """Let a core name the number by a short extension."""
        check_alias(alias)

        def add_alias_txn(change: _Change) -> None:
            change.own()
            change.tx.numbers.add_alias(alias, change.e164)

        await self._change(name, number, "number-alias", add_alias_txn, actor)

    async def every(self, name: str) -> list[Number]:
        """The account's numbers, in order."""

        def numbers_txn(tx: Transaction) -> list[Number]:
            account = named_txn(tx, name, self._settings.domain)
            return sorted(tx.numbers.of_account(account.id), key=lambda number: number.e164)

        return await self._store.read("list-numbers", numbers_txn)

    async def free(self, number: str, *, actor: str = "operator") -> None:
        """End a hold early (ported out). Raises LifeCycleError while an account has the number."""
        e164 = parse_number(number, self._settings.default_region)
        now = self._clock.now()

        def free_txn(tx: Transaction) -> None:
            held = tx.numbers.get(e164)
            if held is None:
                raise NotFoundError(f"{e164} is not held")
            if held.account_id is not None:
                raise LifeCycleError(f"{e164} belongs to an account: remove it there first")
            tx.numbers.free(e164)
            tx.records.audit(AuditRecord(now, actor, "number-free", None, e164))

        await self._store.run("free-number", free_txn)

    async def _change(
        self,
        name: str,
        number: str,
        action: str,
        work: Callable[[_Change], T],
        actor: str,
        *,
        detail: Callable[[E164, T], str] = lambda e164, _: e164,
    ) -> T:
        e164 = parse_number(number, self._settings.default_region)
        now = self._clock.now()

        def change_number_txn(tx: Transaction) -> T:
            account = tx.accounts.lock(named_txn(tx, name, self._settings.domain).id)
            if account is None:
                raise NotFoundError(f"There is no account {name!r}")
            done = work(_Change(tx, account, e164, now))
            tx.records.audit(AuditRecord(now, actor, action, account.id, detail(e164, done)))
            return done

        return await self._store.run(action, change_number_txn)


def _removal(e164: E164, held: Number) -> str:
    """What the audit record of a removal says: the number, and the hold by its end."""
    return f"{e164} held until {held.hold_until}"


def add_number_txn(tx: Transaction, number: Number, now: datetime) -> None:
    """Give a number to its account. Raises AlreadyExistsError that says who or until when."""
    try:
        tx.numbers.add(number, now=now)
    except AlreadyExistsError as error:
        taken = tx.numbers.get(number.e164)
        if taken is not None and taken.hold_until is not None and taken.account_id is None:
            held = f"{number.e164} is held until {taken.hold_until:%Y-%m-%d %H:%M} UTC"
            raise AlreadyExistsError(held) from error
        raise AlreadyExistsError(f"{number.e164} belongs to an account already") from error
