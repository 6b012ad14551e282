"""Who may open a mailbox by telephone, and what is told first."""

import asyncio
from dataclasses import dataclass

import structlog

from um.core.account import Account
from um.core.errors import AccountClosedError, AuthenticationError, NotFoundError
from um.policy.lifecycle import Answer, Door, answer, closed_notice
from voicemail import preferences
from voicemail import requests as ask
from voicemail.events import Clip
from voicemail.lock_notice import tell_owner
from voicemail.made import speak
from voicemail.office import Office

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A mailbox that has been opened."""

    account: Account
    opened: ask.Opened


class Opening:
    """One call's.

    Args:
        office: the services.
        own: the account that is meant without asking for a mailbox, if any.
        vouched: the call comes from a line of `own`: it may open without a PIN.
        caller: the number that calls, for notices.
    """

    def __init__(
        self, office: Office, own: Account | None, *, vouched: bool, caller: str = ""
    ) -> None:
        self._office = office
        self._own = own
        self._vouched = vouched
        self._caller = caller

    async def knock(self, request: ask.Knock) -> Admitted:
        """By mailbox and PIN. Raises AuthenticationError, LockedOutError, AccountClosedError."""
        account = self._own
        if request.mailbox:
            found = await self._office.find_number(request.mailbox)
            account = found[0] if found else None
        if account is None:
            await self._office.authenticator.refuse_pin(request.pin)
        try:
            account = await self._office.authenticator.verify_pin(account.id, request.pin)
        except AuthenticationError:
            log.info("retrieval.wrong-pin", account=account.id, caller=self._caller)
            await tell_owner(self._office, account, self._caller)
            raise
        except NotFoundError as error:
            raise AuthenticationError from error
        return await self._open(account)

    async def enter(self) -> Admitted:
        """Without a PIN. Raises AuthenticationError unless the own line may."""
        own = self._own
        account = await self._office.mailboxes.account(own.id) if own and self._vouched else None
        if account is None:
            raise AuthenticationError
        if account.pin_hash is not None:
            chosen = await self._office.store.read(
                "preferences", lambda tx: tx.accounts.preferences(account.id)
            )
            if not preferences.is_on(chosen, preferences.SKIP_PIN):
                raise AuthenticationError
        return await self._open(account)

    async def _open(self, account: Account) -> Admitted:
        said = answer(account.state, Door.PHONE)
        if said is Answer.UNKNOWN:
            raise AuthenticationError
        if said not in {Answer.ALLOWED, Answer.READ_ONLY}:
            raise AccountClosedError(closed_notice(account))
        read_only = said is Answer.READ_ONLY
        log.info("retrieval.opened", account=account.id, read_only=read_only)
        numbers = await self._office.store.read(
            "phone-numbers", lambda tx: tx.numbers.of_account(account.id)
        )
        opened = ask.Opened(
            read_only=read_only,
            notice=await _notice(account) if read_only else (),
            numbers=tuple(number.e164 for number in numbers),
            language=account.language[:2].lower(),
        )
        return Admitted(account, opened)


async def _notice(account: Account) -> tuple[str | Clip, ...]:
    """That the account is suspended, and why, in the operator's own words."""
    words: tuple[str | Clip, ...] = ("um-account-suspended",)
    if not account.state_reason:
        return words
    reason = await asyncio.to_thread(speak, account.state_reason, account.language)
    return (*words, Clip(reason.tobytes()))
