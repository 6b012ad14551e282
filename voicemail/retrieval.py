"""An owner's call on the access code: between the telephone, the conversation and the desk.

Laws:
- The call is answered when it is known whose line it is; if that cannot be known now it is refused.
- Requests run one at a time, as tasks; one that outlives the call changes what it was asked to and
  nothing else.
"""

import asyncio
from collections.abc import Coroutine
from enum import StrEnum, auto
from typing import Any, Protocol

import structlog

from um.core.account import Account
from um.core.errors import UMError, UnavailableError
from um.core.ports import Transaction
from um.telephony.application import Call, EndReason
from voicemail import events, preferences
from voicemail.conversation import Conversation
from voicemail.desk import Desk
from voicemail.events import Output
from voicemail.line import Line
from voicemail.office import Office
from voicemail.prompts import Prompts
from voicemail.requests import Opened
from voicemail.scripts.login import OwnLine, retrieval

log = structlog.get_logger(__name__)


class Door(StrEnum):
    """How an owner's call came in."""

    OWN_LINE = auto()
    """From a line of `call.account`; whether the core vouches for that, the call says."""
    STRANGER = auto()
    """From anywhere; `call.account` means nothing."""
    GREETING = auto()
    """By `*` during the greeting of `call.account`: its PIN is asked. The call is up already."""


class RetrievalHouse(Office, Protocol):
    """What a call needs around it (`voicemail.app`)."""

    prompts: Prompts

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept and waited for at the end."""
        ...


class RetrievalCall:
    """`um.telephony.application.CallApplication`: an owner listens to messages.

    Args:
        door: whose mailbox is meant, and what vouches for it.
    """

    def __init__(self, house: RetrievalHouse, call: Call, *, door: Door) -> None:
        self._house = house
        self._call = call
        self._account = None if door is Door.STRANGER else call.account
        self._vouched = door is Door.OWN_LINE and call.info.is_vouched_for
        self._desk = Desk(
            house, self._account, vouched=self._vouched, caller=call.info.caller_number
        )
        self._line = Line(call, house.clock, house.prompts, self._perform)
        self._up = door is Door.GREETING
        house.spawn(self._prepare())

    def answered(self) -> None:
        self._up = True
        self._line.feed(events.Answered())

    def audio(self, samples: bytes) -> None:
        self._line.feed(events.AudioReceived(samples))

    def digit(self, digit: str) -> None:
        self._line.feed(events.DigitPressed(digit))

    def playback_finished(self) -> None:
        self._line.playback_finished()

    def ended(self, reason: EndReason) -> None:
        log.info("retrieval.call-ended", call=self._call.info.call_id, reason=reason.value)
        self._line.end()
        self._desk.close()

    async def _prepare(self) -> None:
        """Learn what is needed to speak the first word, then answer."""
        try:
            own = await self._own_line()
        except UMError as error:
            log.warning("retrieval.not-possible", error=error.code)
            if not self._line.over:
                self._refuse()
            return
        if self._line.over:
            return
        self._line.dialogue = Conversation(retrieval(own), keys=self._house.settings.keys)
        if self._up:
            self._line.feed(events.Answered())
        else:
            self._call.answer()

    def _refuse(self) -> None:
        if self._up:
            self._call.hang_up()
        else:
            self._call.reject(503, "Service Unavailable")

    async def _own_line(self) -> OwnLine | None:
        if self._account is None:
            return None
        account_id = self._account.id

        def own_line_txn(tx: Transaction) -> tuple[Account | None, dict[str, str]]:
            return tx.accounts.get(account_id), tx.accounts.preferences(account_id)

        account, chosen = await self._house.store.read("own-line", own_line_txn)
        if account is None:
            return None
        if not self._vouched:
            return OwnLine(has_pin=True, asks_pin=True)
        skips = preferences.is_on(chosen, preferences.SKIP_PIN)
        return OwnLine(has_pin=account.pin_hash is not None, asks_pin=not skips)

    def _perform(self, output: Output) -> None:
        if isinstance(output, events.Perform):
            self._house.spawn(self._answer(output.request))

    async def _answer(self, request: object) -> None:
        try:
            result = await self._desk.perform(request)
        except UMError as error:
            self._line.feed(events.Refused(error))
            return
        except asyncio.CancelledError:  # decoding was stopped: the call is over
            return
        except Exception:
            log.exception("retrieval.request-failed", request=type(request).__name__)
            self._line.feed(events.Refused(UnavailableError()))
            return
        if isinstance(result, Opened):
            self._line.language = result.language
        self._line.feed(events.Replied(result))
