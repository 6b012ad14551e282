r"""What waits in the mailboxes, number by number, and who asked to be told of it.

Laws:
- New is not \Seen, urgent is \Flagged; counted are INBOX and the folders that
  kinds of messages have or had of their own, so nothing in Trash is.
- One lamp a voice number; the numbers of one account show the same, for it has one mailbox.
- A closed account, and one whose purge has begun, has no lamp.
- Subscriptions are kept with their account and go with it; each node keeps those made at its own
  address.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from um.core.account import Account, AccountState, Number, NumberUse
from um.core.ids import AccountId, MailboxId, ModSeq
from um.core.message import FLAGGED, SEEN, Entry, Mailbox, MessageKind
from um.core.ports import Store, Transaction
from um.core.waiting import Lamp, Waiting
from um.service.homes import inboxes_txn
from um.service.numbers import find_number
from um.service.settings import AccountSettings

log = structlog.get_logger(__name__)

REMEMBERED_MAILBOXES = 10_000
NOTHING = Waiting()
_PREFERENCE = "mwi-subscriptions"

Subscriptions = Sequence[dict[str, Any]]
"""Records as `um.telephony.sip.subscription` writes them: plain values of JSON."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What folders hold of the kinds that have a lamp."""

    voice: Waiting = NOTHING
    fax: Waiting = NOTHING


@dataclass(slots=True)
class Tallies:
    """Counts of folders, kept while their MODSEQ stands still. Used from several database threads."""

    _known: OrderedDict[MailboxId, tuple[ModSeq, Tally]] = field(default_factory=OrderedDict)

    def of_account(self, tx: Transaction, account_id: AccountId) -> Tally:
        """The counts as the transaction sees them."""
        tallies = [self._of_mailbox(tx, each) for each in inboxes_txn(tx, account_id)]
        if len(tallies) == 1:
            return tallies[0]
        return Tally(_sum(each.voice for each in tallies), _sum(each.fax for each in tallies))

    def _of_mailbox(self, tx: Transaction, mailbox: Mailbox) -> Tally:
        modseq, tally = self._known.get(mailbox.id, (ModSeq(0), Tally()))
        if modseq != mailbox.highest_modseq:
            tally = _tally(tx.messages.entries(mailbox.id))
            self._keep(mailbox.id, mailbox.highest_modseq, tally)
        return tally

    def _keep(self, mailbox: MailboxId, modseq: ModSeq, tally: Tally) -> None:
        # Each step is atomic by itself; two threads that count the same folder do no harm.
        self._known[mailbox] = (modseq, tally)
        while len(self._known) > REMEMBERED_MAILBOXES:
            try:
                self._known.popitem(last=False)
            except KeyError:
                return


class MessageWaiting:
    """Use cases around the lamps. One object serves a process."""

    def __init__(self, store: Store, settings: AccountSettings, tallies: Tallies) -> None:
        self._store = store
        self._settings = settings
        self._tallies = tallies

    async def of_accounts(self, account_ids: Iterable[AccountId]) -> dict[AccountId, list[Lamp]]:
        """The lamps of each account, by number; none for one that is gone or closed.

        Raises UnavailableError.
        """
        wanted = list(account_ids)

        def lamps_txn(tx: Transaction) -> dict[AccountId, list[Lamp]]:
            found = {account_id: tx.accounts.get(account_id) for account_id in wanted}
            return {
                account_id: self._lamps_txn(tx, account) if account is not None else []
                for account_id, account in found.items()
            }

        return await self._store.read("lamps", lamps_txn)

    async def every_account(self) -> list[AccountId]:
        """All accounts, for a full round; ask for their lamps in portions."""
        return await self._store.read(
            "accounts-with-lamps", lambda tx: [account.id for account in tx.accounts.every()]
        )

    async def find(self, dialled: str) -> Lamp | None:
        """The lamp that `dialled` (any spelling, an alias) names; None if there is no such lamp."""

        def find_txn(tx: Transaction) -> Lamp | None:
            number = find_number(tx, dialled, self._settings.default_region)
            if number is None or number.account_id is None:
                return None
            account = tx.accounts.get(number.account_id)
            lamps = self._lamps_txn(tx, account) if account is not None else []
            return next((lamp for lamp in lamps if lamp.number == number.e164), None)

        return await self._store.read("find-lamp", find_txn)

    # -- subscriptions --------------------------------------------------------------------------

    async def keep(self, account_id: AccountId, node: str, records: Subscriptions) -> None:
        """Keep the subscriptions that `node` (its SIP address) has for the account's numbers."""
        value = json.dumps(list(records)) if records else None

        def keep_txn(tx: Transaction) -> None:
            if tx.accounts.get(account_id) is not None:
                tx.accounts.set_preference(account_id, f"{_PREFERENCE} {node}", value)

        await self._store.run("keep-subscriptions", keep_txn)

    async def kept(
        self, account_ids: Iterable[AccountId], node: str
    ) -> dict[AccountId, Subscriptions]:
        """What was kept for `node`; what cannot be read is left out."""
        wanted, key = list(account_ids), f"{_PREFERENCE} {node}"

        def kept_txn(tx: Transaction) -> dict[AccountId, str]:
            found = {each: tx.accounts.preferences(each).get(key) for each in wanted}
            return {account_id: text for account_id, text in found.items() if text}

        texts = await self._store.read("kept-subscriptions", kept_txn)
        return {account_id: _records(text) for account_id, text in texts.items()}

    def _lamps_txn(self, tx: Transaction, account: Account) -> list[Lamp]:
        if account.state not in (AccountState.ACTIVE, AccountState.SUSPENDED):
            return []
        numbers = sorted(filter(_has_lamp, tx.numbers.of_account(account.id)), key=_e164)
        if not numbers:
            return []
        tally = self._tallies.of_account(tx, account.id)
        return [Lamp(number.e164, account.id, tally.voice, tally.fax) for number in numbers]


def _has_lamp(number: Number) -> bool:
    return number.use is not NumberUse.FAX


def _e164(number: Number) -> str:
    return number.e164


def _sum(counts: Iterable[Waiting]) -> Waiting:
    return sum(counts, start=NOTHING)


def _tally(entries: Iterable[Entry]) -> Tally:
    counts = {MessageKind.VOICE: [0, 0, 0, 0], MessageKind.FAX: [0, 0, 0, 0]}
    for entry in entries:
        count = counts.get(entry.kind)
        if count is not None:
            old = SEEN in entry.flags
            count[old] += 1
            count[2 + old] += FLAGGED in entry.flags
    return Tally(Waiting(*counts[MessageKind.VOICE]), Waiting(*counts[MessageKind.FAX]))


def _records(text: str) -> Subscriptions:
    try:
        records = json.loads(text)
    except ValueError:
        log.warning("kept subscriptions cannot be read")
        return []
    return [each for each in records if isinstance(each, dict)] if isinstance(records, list) else []
