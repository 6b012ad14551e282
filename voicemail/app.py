"""The voicemail of one process: what the telephony server and the composition root see of it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from um.core.account import Account
from um.core.ids import E164
from um.core.ports import Clock, Greetings, Metrics, Spool, SpoolEntry, Store
from um.core.steps import Steps, no_steps
from um.service.accounts import AccountService
from um.service.authentication import Authenticator
from um.service.delivery import Delivered, Delivery
from um.service.forward.queue import OutboxQueue
from um.service.mailboxes import MailboxService
from um.service.tasks import Tasks
from um.telephony.application import Call, CallApplication, DivertCause, ToneDetector
from voicemail import dialogue, greeting
from voicemail.call import VoicemailCall
from voicemail.deposit import Deposits, Outcome
from voicemail.facts import KIND
from voicemail.made import make_prompts
from voicemail.office import FindNumber
from voicemail.prompts import FALLBACK_LANGUAGE, Prompts
from voicemail.retrieval import Door, RetrievalCall
from voicemail.settings import VoicemailSettings
from voicemail.wording import composed_prompts

__all__ = ["KIND", "Outcome", "Owners", "VoicemailService", "VoicemailSettings"]


@dataclass(frozen=True, slots=True)
class Owners:
    """What an owner's call needs of the services."""

    greetings: Greetings
    mailboxes: MailboxService
    accounts: AccountService
    authenticator: Authenticator
    find_number: FindNumber
    """The account and number of ours that dialled digits mean."""
    outbox: OutboxQueue
    """What leaves the house."""


class VoicemailService:
    """Takes calls, finishes recordings, replays what a crash left.

    `retry_pending` is to be called every second or so, `drain` before the loop ends.
    """

    def __init__(
        self,
        spool: Spool,
        delivery: Delivery,
        store: Store,
        clock: Clock,
        prompts: Prompts,
        settings: VoicemailSettings,
        owners: Owners,
        metrics: Metrics | None = None,
        *,
        fax_tones: Callable[[], ToneDetector] | None = None,
        steps: Steps = no_steps,
    ) -> None:
        """Args: fax_tones: makes what hears a calling fax machine, where "fax" can take its call."""
        self.spool = spool
        self.delivery = delivery
        self.store = store
        self.clock = clock
        self.prompts = prompts
        self.settings = settings
        self.greetings = owners.greetings
        self.mailboxes = owners.mailboxes
        self.accounts = owners.accounts
        self.authenticator = owners.authenticator
        self.find_number = owners.find_number
        self.outbox = owners.outbox
        self.fax_tones = fax_tones
        self.deposits = Deposits(delivery, store, clock, settings, steps=steps, metrics=metrics)
        self._tasks = Tasks("voicemail", metrics)

    def application(self, call: Call) -> CallApplication:
        """The `ApplicationFactory` of voice calls: takes the call and answers it by itself."""
        return VoicemailCall(self, call)

    def retrieval(self, call: Call) -> CallApplication:
        """The `ApplicationFactory` of an owner's call from a line of `call.account`."""
        return RetrievalCall(self, call, door=Door.OWN_LINE)

    def login(self, call: Call) -> CallApplication:
        """The `ApplicationFactory` of a call to the access code from any other line."""
        return RetrievalCall(self, call, door=Door.STRANGER)

    def announcement(self, name: str, language: str = "") -> bytes:
        """What is spoken to a call that is not taken: linear samples, native order.

        Args:
            name: the code of the error that refused it (`account-closed` …) or `voicemail-off`.
            language: of the account that was called; empty if there is none.
        """
        words = greeting.announcement(name)
        return self.prompts.spoken(words, language=language or FALLBACK_LANGUAGE)

    async def preload(self) -> None:
        """Make the prompts that no pack has, and read those of a deposit ahead; off the loop."""
        if self.prompts.made is not None:
            spoken = sorted(self.prompts.languages)
            phrases = composed_prompts(self.settings.keys)
            await asyncio.to_thread(make_prompts, self.prompts.made, spoken, phrases=phrases)
        words = {
            *greeting.greeting(E164("+0123456789"), DivertCause.BUSY),
            *(word for words in greeting.ANNOUNCEMENTS.values() for word in words),
            *dialogue.BEEP,
            *dialogue.MESSAGE_SAVED,
            *dialogue.TOO_SHORT,
            *dialogue.REVIEW,
            *dialogue.CONNECTING,
            "vm-isunavail",
        }
        named = sorted(word for word in words if isinstance(word, str))
        for language in {FALLBACK_LANGUAGE, *self.prompts.languages}:
            await asyncio.to_thread(self.prompts.preload, named, language=language)

    async def recover(self, entry: SpoolEntry) -> Outcome:
        """Deliver what a process that died left in its spool (facts["kind"] == "voice")."""
        return await self.deposits.finish(entry)

    async def retry_pending(self) -> int:
        """Try recordings that wait for the storage; returns how many wait still."""
        return await self.deposits.retry_pending()

    async def deliver_file(
        self,
        account: Account,
        data: bytes,
        *,
        number: E164,
        caller_number: str = "",
        caller_name: str = "",
        when: datetime | None = None,
    ) -> Delivered:
        """Deliver an audio file of any format; see `Deposits.deliver_file`."""
        return await self.deposits.deliver_file(
            account,
            data,
            number=number,
            caller_number=caller_number,
            caller_name=caller_name,
            when=when or self.clock.now(),
        )

    async def drain(self) -> None:
        """Wait until every call that has ended is settled."""
        await self._tasks.drain()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept; one that fails is logged, its recording stays."""
        return self._tasks.spawn(work)

    @property
    def failures(self) -> int:
        """Tasks that ended in an error nobody expected."""
        return self._tasks.failures
