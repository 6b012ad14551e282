"""What the telephony core asks of us about a number, and the call records that it hands in.

Laws:
- A number is found in any spelling or by its alias; one of an account whose purge has begun is not.
- A call record is kept once: the same id for the same account again changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from um.core.account import Account, AccountState, CallRecord, Number, NumberUse
from um.core.errors import InvalidError, NotFoundError
from um.core.ids import E164
from um.core.ports import Clock, Store, Transaction
from um.core.waiting import Waiting
from um.mime.clean import clean_text
from um.service.message_waiting import Tallies
from um.service.numbers import find_number, normal_number
from um.service.settings import AccountSettings

ANSWERED = "answered"
DISPOSITIONS = frozenset({ANSWERED, "no-answer", "busy", "failed", "congestion", "cancelled"})
"""Those of Asterisk's and FreeSWITCH's records, in small letters with hyphens."""
REMEMBERED_CALLS = 1000
"""So many of an account's latest calls are searched for an id: a sender repeats soon or never."""
_CALLS = ("voice", "fax", "missed-voice", "missed-fax")
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NumberFacts:
    """A number as its core needs to know it."""

    number: E164
    use: NumberUse
    state: AccountState
    voicemail: bool
    ring_seconds: int
    voice: Waiting
    fax: Waiting


@dataclass(frozen=True, slots=True)
class ReportedCall:
    """A call that the core carried."""

    id: str
    """The core's own, unique among its calls; at most 128 printable ASCII characters."""
    number: str
    """Ours, in any spelling."""
    caller: str
    """Number or name; "" if withheld."""
    started_at: datetime
    """Aware."""
    duration_seconds: float
    disposition: str
    """One of DISPOSITIONS."""


class CoreDesk:
    """Answers the core.

    Args:
        store: where numbers and accounts are.
        clock: tells whether a call lies in the future.
        settings: for the region of national numbers.
        tallies: counts of INBOX, shared with message waiting.
        ring_seconds: for accounts that chose none.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: AccountSettings,
        tallies: Tallies,
        *,
        ring_seconds: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._tallies = tallies
        self._ring_seconds = ring_seconds

    async def number(self, dialled: str) -> NumberFacts:
        """The number that `dialled` names. Raises NotFoundError, UnavailableError."""
        return await self._store.read("core-number", lambda tx: self._number_txn(tx, dialled))

    async def add_call(self, call: ReportedCall) -> bool:
        """Keep a call in the history of its account; False: it was there already.

        Raises NotFoundError, InvalidError, UnavailableError.
        """
        if call.disposition not in DISPOSITIONS:
            raise InvalidError(f"disposition is one of {', '.join(sorted(DISPOSITIONS))}")
        if call.started_at > self._clock.now() + _CLOCK_SKEW:
            raise InvalidError("started_at lies in the future")
        return await self._store.run("core-call", lambda tx: self._add_call_txn(tx, call))

    def _number_txn(self, tx: Transaction, dialled: str) -> NumberFacts:
        account, number = self._found_txn(tx, dialled)
        ring_seconds = account.ring_seconds
        tally = self._tallies.of_account(tx, account.id)
        return NumberFacts(
            number=number.e164,
            use=number.use,
            state=account.state,
            voicemail=account.voicemail_enabled,
            ring_seconds=self._ring_seconds if ring_seconds is None else ring_seconds,
            voice=tally.voice,
            fax=tally.fax,
        )

    def _add_call_txn(self, tx: Transaction, call: ReportedCall) -> bool:
        account, number = self._found_txn(tx, call.number)
        tx.accounts.lock(account.id)  # the same record from two nodes at once is one call too
        medium = "fax" if number.use is NumberUse.FAX else "voice"
        known = tx.records.calls_of(account.id, limit=REMEMBERED_CALLS, kinds=_CALLS)
        if any(_id_of(record) == call.id for record in known):
            return False
        caller = clean_text(call.caller)
        tx.records.add_call(
            CallRecord(
                account_id=account.id,
                at=call.started_at,
                kind=medium if call.disposition == ANSWERED else f"missed-{medium}",
                number=number.e164,
                caller=normal_number(caller, self._settings.default_region),
                duration_seconds=call.duration_seconds,
                detail=f"{call.disposition} {call.id}",
            )
        )
        return True

    def _found_txn(self, tx: Transaction, dialled: str) -> tuple[Account, Number]:
        number = find_number(tx, dialled, self._settings.default_region)
        if number is not None and number.account_id is not None:
            account = tx.accounts.get(number.account_id)
            if account is not None and account.state is not AccountState.PURGING:
                return account, number
        raise NotFoundError("No account has that number")


def is_answered(record: CallRecord) -> bool:
    """Whether the core reported a call that somebody (or a fax machine) took: no message of ours."""
    return record.detail.partition(" ")[0] == ANSWERED


def _id_of(record: CallRecord) -> str | None:
    """The core's id of a call that it reported; None for a call of our own."""
    disposition, _, core_id = record.detail.partition(" ")
    return core_id if disposition in DISPOSITIONS else None
