"""Messages that go by age, where an operator or an owner has made a rule (`um.policy.retention`).

Laws:
- Without a rule nothing goes. A rule does nothing until its dry run was shown, and for a day after.
- Only active accounts under no legal hold are touched, which each transaction asks anew.
- A few hundred messages a transaction, with an audit record of what went by which rule.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from um.core.account import Account, AuditRecord
from um.core.errors import InvalidError
from um.core.ids import AccountId, MailboxId, Uid
from um.core.message import TRASH, Entry, MessageKind
from um.core.ports import Clock, Store, Transaction
from um.core.retention import KINDS, Action, RetentionRule, parse_rule
from um.policy.retention import (
    KEEP,
    PREFERENCES,
    Choice,
    StandingRule,
    may_expire,
    note_shown,
    preference_key,
    read_choice,
    shown_at,
    shown_key,
    standing_rules,
)
from um.service.recipients import named_txn
from um.service.settings import AccountSettings

BATCH = 200
"""Messages that go in one transaction, and accounts that are looked at in one."""
ACTOR = "housekeeping"


@dataclass(frozen=True, slots=True)
class Expiry:
    """What one rule takes, or would take, of one account."""

    account: Account
    standing: StandingRule
    messages: int
    octets: int


class Retention:
    """Use cases over rules.

    Args:
        operators: the rules for all accounts, at most one of a kind.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: AccountSettings,
        operators: Sequence[RetentionRule] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._operators = {rule.kind: rule for rule in operators}

    async def rules(self, name: str) -> list[StandingRule]:
        """The rules that hold for an account, its own and the operator's. Raises NotFoundError."""

        def rules_txn(tx: Transaction) -> list[StandingRule]:
            account = named_txn(tx, name, self._settings.domain)
            return standing_rules(self._standing_txn(tx), tx.accounts.preferences(account.id))

        return await self._store.read("retention-rules", rules_txn)

    async def operators(self) -> list[StandingRule]:
        """The rules for all accounts, as they stand."""
        return await self._store.read(
            "retention-operators", lambda tx: list(self._standing_txn(tx).values())
        )

    async def choices(self, name: str) -> dict[MessageKind, Choice]:
        """What was chosen for the account, of each kind that may have a rule. Raises NotFoundError."""

        def choices_txn(tx: Transaction) -> dict[MessageKind, Choice]:
            words = tx.accounts.preferences(named_txn(tx, name, self._settings.domain).id)
            return {kind: read_choice(kind, words.get(preference_key(kind))) for kind in KINDS}

        return await self._store.read("retention-choices", choices_txn)

    async def choose(
        self,
        name: str,
        kind: MessageKind,
        word: str | None,
        *,
        reason: str = "",
        actor: str = "operator",
    ) -> None:
        """Say what becomes of one kind of message: a rule, KEEP, or None for the operator's rule.

        A new rule needs a dry run of its own. Raises InvalidError, NotFoundError.
        """
        if kind not in KINDS:
            raise InvalidError(f"There is no rule for {kind} messages")
        if word not in (None, KEEP):
            assert word is not None
            rule = parse_rule(word)
            if rule.kind is not kind:
                raise InvalidError(f"{rule} is no rule for {kind}")
            word = str(rule)

        def choose_txn(tx: Transaction) -> None:
            account = named_txn(tx, name, self._settings.domain)
            tx.accounts.set_preference(account.id, preference_key(kind), word)
            detail = f"{kind}: {word or 'as the operator says'}" + (reason and f" ({reason})")
            at = self._clock.now()
            tx.records.audit(AuditRecord(at, actor, "retention-rule", account.id, detail))

        await self._store.run("retention-choose", choose_txn)

    async def dry_run(self, name: str | None = None) -> list[Expiry]:
        """What would go now of one account, or of all: every rule, in force or not.

        From then on the rules that were looked at count as shown: those of the account alone, or
        with all accounts the operator's too. Raises NotFoundError.
        """
        now = self._clock.now()
        found = [each async for batch in self._survey(name, now) for each in batch]
        await self._note_shown(name, now)
        return found

    async def run(self, name: str | None = None) -> list[Expiry]:
        """Carry out the rules that are in force; returns what went. Raises NotFoundError."""
        now = self._clock.now()
        gone = []
        async for batch in self._survey(name, now):
            in_force = [each for each in batch if each.standing.in_force(now)]
            gone += [await self._carry_out(each, now) for each in in_force]
        return [each for each in gone if each.messages]

    async def _survey(self, name: str | None, now: datetime) -> AsyncIterator[list[Expiry]]:
        """What the rules find, some accounts at a time."""
        chosen = await self._chosen(name)
        async for accounts in self._accounts(name, chosen):
            yield await self._store.read("retention-survey", self._surveyed(accounts, chosen, now))

    async def _chosen(self, name: str | None) -> Mapping[AccountId, Mapping[str, str]]:
        """What owners chose; of one account by itself, however many there are."""

        def chosen_txn(tx: Transaction) -> Mapping[AccountId, Mapping[str, str]]:
            if name is None:
                return tx.accounts.choosing(PREFERENCES)
            account_id = named_txn(tx, name, self._settings.domain).id
            return {account_id: tx.accounts.preferences(account_id)}

        return await self._store.read("retention-chosen", chosen_txn)

    async def _accounts(
        self, name: str | None, chosen: Collection[AccountId]
    ) -> AsyncIterator[list[Account]]:
        """The accounts that may have a rule, in batches: all, if there is one for all."""
        if name is not None:
            domain = self._settings.domain
            yield [await self._store.read("retention-one", lambda tx: named_txn(tx, name, domain))]
        elif self._operators:
            after: AccountId | None = None
            while page := await self._store.read("retention-page", _page(after)):
                yield page
                after = page[-1].id
        else:
            ids = sorted(chosen)
            for start in range(0, len(ids), BATCH):
                some = ids[start : start + BATCH]
                yield await self._store.read("retention-some", _known(some))

    def _surveyed(
        self,
        accounts: Sequence[Account],
        chosen: Mapping[AccountId, Mapping[str, str]],
        now: datetime,
    ) -> Callable[[Transaction], list[Expiry]]:
        def survey_txn(tx: Transaction) -> list[Expiry]:
            operators = self._standing_txn(tx)
            by_rule = defaultdict[StandingRule, dict[AccountId, Account]](dict)
            for account in filter(may_expire, accounts):
                for standing in standing_rules(operators, chosen.get(account.id, {})):
                    by_rule[standing][account.id] = account
            return [
                Expiry(known[account_id], standing, messages, octets)
                for standing, known in by_rule.items()
                for account_id, (messages, octets) in tx.messages.aged_sums(
                    list(known),
                    standing.rule.kind,
                    before=standing.rule.cutoff(now),
                    seen_only=standing.rule.heard_only,
                ).items()
            ]

        return survey_txn

    async def _carry_out(self, found: Expiry, now: datetime) -> Expiry:
        messages = octets = 0
        while went := await self._store.run("retention", _expire(found, now)):
            messages += len(went)
            octets += sum(entry.size_octets for entry in went)
        return Expiry(found.account, found.standing, messages, octets)

    async def _note_shown(self, name: str | None, now: datetime) -> None:
        """Write down that these rules were shown, where it is not written yet."""
        chosen = await self._chosen(name)
        domain = self._settings.domain

        def note_txn(tx: Transaction) -> None:
            only = None if name is None else named_txn(tx, name, domain).id
            for account_id, words in chosen.items():
                if only not in (None, account_id) or tx.accounts.get(account_id) is None:
                    continue
                for standing in standing_rules({}, words):
                    if standing.shown_at is None:
                        note = note_shown(standing.rule, now)
                        tx.accounts.set_preference(account_id, shown_key(standing.rule.kind), note)
            if only is None:
                for standing in self._standing_txn(tx).values():
                    if standing.shown_at is None:
                        note = note_shown(standing.rule, now)
                        tx.records.set_mark(shown_key(standing.rule.kind), note)

        await self._store.run("retention-shown", note_txn)

    def _standing_txn(self, tx: Transaction) -> dict[MessageKind, StandingRule]:
        """The operator's rules, with when they were shown."""
        return {
            kind: StandingRule(rule, False, shown_at(rule, tx.records.mark(shown_key(kind))))
            for kind, rule in self._operators.items()
        }


def _page(after: AccountId | None) -> Callable[[Transaction], list[Account]]:
    return lambda tx: tx.accounts.batch(after, BATCH)


def _known(ids: Sequence[AccountId]) -> Callable[[Transaction], list[Account]]:
    def known_txn(tx: Transaction) -> list[Account]:
        return [account for each in ids if (account := tx.accounts.get(each)) is not None]

    return known_txn


def _expire(found: Expiry, now: datetime) -> Callable[[Transaction], list[Entry]]:
    """Take a batch of what the rule means, as it is now; what went, nothing when all is done."""
    rule, account_id = found.standing.rule, found.account.id

    def expire_txn(tx: Transaction) -> list[Entry]:
        account = tx.accounts.lock(account_id)
        if account is None or not may_expire(account):
            return []
        entries = tx.messages.aged(
            [account_id],
            rule.kind,
            before=rule.cutoff(now),
            seen_only=rule.heard_only,
            limit=BATCH,
        )
        by_folder = defaultdict[MailboxId, list[Uid]](list)
        for entry in entries:
            by_folder[entry.mailbox_id].append(entry.uid)
        for folder, uids in by_folder.items():
            if rule.action is Action.TRASH:
                _throw_away_txn(tx, account_id, folder, uids, now)
            else:
                tx.messages.expunge(folder, uids)
        if entries:
            octets = sum(entry.size_octets for entry in entries)
            detail = f"{rule}: {len(entries)} messages, {octets} octets"
            tx.records.audit(AuditRecord(now, ACTOR, "retention", account_id, detail))
        return entries

    return expire_txn


def _throw_away_txn(
    tx: Transaction, account_id: AccountId, folder: MailboxId, uids: list[Uid], now: datetime
) -> None:
    trash = tx.mailboxes.by_name(account_id, TRASH) or tx.mailboxes.create(
        account_id, TRASH, special_use="\\Trash"
    )
    moved = tx.messages.move(folder, uids, trash.id, now)
    tx.messages.set_trashed(trash.id, [each.target_uid for each in moved], now)
