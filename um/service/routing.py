"""Which mailbox an offered call is for, and whether it may take a message now.

Knows nothing of SIP: `um.app` turns the answer into a route or a status with an announcement.
The final word on room is the reservation's, when the recording begins.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from um.core.account import Account, AccountState, CallRecord, Number, NumberUse
from um.core.errors import UMError
from um.core.events import QuotaRefused
from um.core.ids import E164, AccountId
from um.core.ports import Clock, EventBus, Store, Transaction
from um.policy.lifecycle import Answer, Door, answer
from um.policy.quota import fits
from um.service import history
from um.service.numbers import find_number
from um.service.settings import AccountSettings

log = structlog.get_logger(__name__)

FIRST_FAX_PAGE_OCTETS = 256 * 1024
"""Room that must be free before a fax is answered: a dense page in fine resolution, in base64."""


class CallRefusal(StrEnum):
    """Why a call is not taken."""

    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    OWN_CLOSED = "own-closed"
    """An owner calls, whose account is closed."""
    VOICEMAIL_OFF = "voicemail-off"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Where a call goes.

    `application` is `voice`, `fax`, `retrieval` (an owner, from a line of `account`) or `login` (an
    access code from any other line: account and number are STRANGER's and mean nothing).
    """

    application: str
    account: Account
    number: Number


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call for an account of ours that is not taken; None where no account is known."""

    reason: CallRefusal
    account: Account | None = None
    number: Number | None = None


STRANGER = CallPlace(
    "login",
    Account(AccountId(""), name="", domain="", created_at=datetime.min.replace(tzinfo=UTC)),
    Number(E164(""), None),
)


class CallDoor:
    """Decides on calls. A number for both uses begins as a voice call, also where voicemail is off.

    Args:
        store: where numbers and accounts are.
        clock: decides which reservations count.
        settings: for the region of national numbers.
        voice_octets: worst case of one longest message (`um.policy.quota`).
        fax_octets: room for the first page.
        access_codes: what owners dial to hear their messages.
        bus: told of calls that are refused because a mailbox is full.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: AccountSettings,
        *,
        voice_octets: int,
        fax_octets: int = FIRST_FAX_PAGE_OCTETS,
        access_codes: Collection[str] = (),
        bus: EventBus | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._access_codes = frozenset(access_codes)
        self._bus = bus
        self._stranger = replace(
            STRANGER, account=replace(STRANGER.account, language=settings.language)
        )
        self._octets = {"voice": voice_octets, "fax": fax_octets}

    async def decide(
        self, candidates: Sequence[str], *, caller: str = "", is_vouched_for: bool = False
    ) -> CallPlace | RefusedCall:
        """The first of `candidates` (dialled names, in order of trust) that is a number of ours.

        An access code among them is an owner's call; `caller` is then the line that calls, by its
        own word or (`is_vouched_for`) the core's: it picks the mailbox and opens nothing.
        Raises UnavailableError.
        """
        if self._access_codes.intersection(candidates):
            return await self._store.read(
                "route-owner", lambda tx: self._owner_txn(tx, caller, is_vouched_for=is_vouched_for)
            )
        place = await self._store.read("route-call", lambda tx: self._decide_txn(tx, candidates))
        full = isinstance(place, RefusedCall) and place.reason is CallRefusal.FULL
        if full and place.account is not None and self._bus is not None:
            self._bus.publish([QuotaRefused(place.account.id)])
        return place

    async def note(self, refused: RefusedCall, *, call_id: str, caller: str) -> None:
        """A line in the history of the account whose caller is refused; trouble is logged.

        An owner who is refused has no caller.
        """
        account, number = refused.account, refused.number
        if account is None or number is None or refused.reason is CallRefusal.OWN_CLOSED:
            return
        record = CallRecord(
            account_id=account.id,
            at=self._clock.now(),
            kind=history.REFUSED,
            number=number.e164,
            caller=caller,
            duration_seconds=0.0,
            detail=refused.reason.value,
        )
        try:
            await history.note(self._store, record)
        except UMError as error:
            log.warning("refused call not noted", call_id=call_id, error=error.code)

    async def find_number(self, dialled: str) -> tuple[Account, Number] | None:
        """The number of ours that `dialled` means, in any spelling or by its alias."""
        return await self._store.read("find-number", lambda tx: self._find_txn(tx, [dialled]))

    def _find_txn(
        self, tx: Transaction, candidates: Sequence[str]
    ) -> tuple[Account, Number] | None:
        for dialled in candidates:
            number = find_number(tx, dialled, self._settings.default_region)
            if number is None or number.account_id is None:
                continue
            account = tx.accounts.get(number.account_id)
            if account is not None and account.state is not AccountState.PURGING:
                return account, number
        return None

    def _owner_txn(
        self, tx: Transaction, caller: str, *, is_vouched_for: bool
    ) -> CallPlace | RefusedCall:
        found = self._find_txn(tx, [caller]) if caller else None
        if found is None:
            return self._stranger
        account, number = found
        if answer(account.state, Door.PHONE) not in {Answer.ALLOWED, Answer.READ_ONLY}:
            # Who only claims to be the owner learns that after the right PIN.
            closed = RefusedCall(CallRefusal.OWN_CLOSED, account, number)
            return closed if is_vouched_for else self._stranger
        return CallPlace("retrieval", account, number)

    def _decide_txn(self, tx: Transaction, candidates: Sequence[str]) -> CallPlace | RefusedCall:
        found = self._find_txn(tx, candidates)
        if found is None:
            return RefusedCall(CallRefusal.UNKNOWN)
        account, number = found
        application = "fax" if number.use is NumberUse.FAX else "voice"
        # Where voicemail is off there may be a fax: the caller hears that, and is listened to for it.
        fax_alone = number.use is NumberUse.BOTH and not account.voicemail_enabled
        if refusal := self._refusal(tx, account, "fax" if fax_alone else application):
            return RefusedCall(refusal, account, number)
        return CallPlace(application, account, number)

    def _refusal(self, tx: Transaction, account: Account, application: str) -> CallRefusal | None:
        said = answer(account.state, Door(application))
        if said is Answer.REFUSED_FOR_NOW:
            return CallRefusal.SUSPENDED
        if said is not Answer.ALLOWED:
            return CallRefusal.CLOSED
        if application == "voice" and not account.voicemail_enabled:
            return CallRefusal.VOICEMAIL_OFF
        usage = tx.accounts.usage(account.id, self._clock.now())
        return None if fits(self._octets[application], usage) else CallRefusal.FULL
