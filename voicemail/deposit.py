"""From a recording in the spool to a message in the mailbox, once, whatever happens between.

Laws:
- An entry is discarded only when its message has committed, or when there is nothing to deliver:
  too little sound, or an account that is gone. In doubt it stays.
- The ingest key is the entry's id with the account's: however often an entry is tried, by this
  process or by the one after a crash, it is one message.
- Rendering runs in a thread. Storage that is gone is tried again, ever more slowly, for ever.
"""

import asyncio
import os
from datetime import datetime
from functools import partial
from uuid import uuid4

import structlog

from um.core.account import Account
from um.core.errors import NotFoundError, UnavailableError
from um.core.ids import E164, IngestKey
from um.core.message import FLAGGED, KEYWORDS, MessageKind
from um.core.ports import Clock, Metrics, NoMetrics, SpoolEntry, Store
from um.core.steps import Steps, no_steps
from um.service import history
from um.service.attempts import Attempts, Outcome
from um.service.call_facts import CallFacts
from um.service.delivery import Delivered, Delivery, Incoming, Room
from um.service.settlement import Settlement
from voicemail.audio import Recording, encode, prepare
from voicemail.convert import convert
from voicemail.facts import MISSED, TAKEN, read_facts
from voicemail.message import render
from voicemail.recorder import take_files
from voicemail.settings import VoicemailSettings

__all__ = ["Deposits", "Outcome"]

log = structlog.get_logger(__name__)


class Deposits:
    """The recordings of one process on their way into mailboxes."""

    def __init__(
        self,
        delivery: Delivery,
        store: Store,
        clock: Clock,
        settings: VoicemailSettings,
        *,
        steps: Steps = no_steps,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._settlement = Settlement(delivery, store, steps)
        self._metrics = metrics or NoMetrics()
        self._renderers = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 2))
        self._attempts = Attempts(
            "voicemail",
            self._attempt,
            clock,
            pauses_seconds=settings.retry_seconds,
            metrics=self._metrics,
        )

    @property
    def waiting(self) -> int:
        """How many recordings wait in the spool for the storage to come back."""
        return len(self._attempts)

    async def finish(self, entry: SpoolEntry, *, keep: bool = True) -> Outcome:
        """Deliver a recording, or note a missed call; never raises for storage trouble.

        `keep` false: the dialogue has decided that nothing was said.
        """
        return await self._attempts.finish(entry, partial(self._attempt, keep=keep))

    async def retry_pending(self) -> int:
        """Try those whose time has come; returns how many wait still."""
        return await self._attempts.retry_pending()

    async def deliver_file(
        self,
        account: Account,
        data: bytes,
        *,
        number: E164,
        caller_number: str,
        caller_name: str,
        when: datetime,
    ) -> Delivered:
        """Deliver an audio file of any format as a voice message, whole and as loud as it is.

        Raises RefusedDocumentError with the reason, and what `Delivery.deliver` raises.
        """
        key = uuid4().hex
        longest = self._settings.longest_file_seconds
        facts = CallFacts.of_file(
            key, account.id, number, caller=(caller_number, caller_name), when=when
        )

        def make() -> tuple[Recording, bytes]:
            samples = convert(data, longest_seconds=longest)
            recording = encode(samples, self._settings.audio_format)
            return recording, render(account, facts, recording, key, self._settings.domain)

        recording, message = await asyncio.to_thread(make)
        incoming = self._incoming(facts, recording, message, key, room=Room.NORMAL)
        line = history.line(facts, TAKEN, seconds=recording.duration_seconds)
        return await self._settlement.deliver_file(incoming, line)

    async def _attempt(self, entry: SpoolEntry, *, keep: bool = True) -> Outcome:
        try:
            facts = read_facts(entry.facts)
        except (KeyError, ValueError):
            log.exception("voicemail.broken-facts", entry=entry.id)
            return Outcome.BROKEN
        account = await self._settlement.account(facts.account_id)
        if account is None:
            return await self._settlement.gone(entry)
        try:
            rendered = await self._rendered(entry, account, facts, keep=keep)
            if rendered is None:
                return await self._settlement.miss(entry, facts, history.line(facts, MISSED))
            return await self._deliver(entry, facts, *rendered)
        except (NotFoundError, FileNotFoundError):  # purged while we worked
            return await self._settlement.gone(entry)
        except OSError as error:
            raise UnavailableError from error

    async def _rendered(
        self, entry: SpoolEntry, account: Account, facts: CallFacts, *, keep: bool
    ) -> tuple[Recording, bytes] | None:
        """What `_render` makes, when it is this entry's turn: calls that go on need processors, too."""
        async with self._renderers:
            started = self._clock.monotonic()
            rendered = await asyncio.to_thread(self._render, entry, account, facts, keep=keep)
            self._metrics.observe("voicemail_render_seconds", self._clock.monotonic() - started)
            return rendered

    def _render(
        self, entry: SpoolEntry, account: Account, facts: CallFacts, *, keep: bool
    ) -> tuple[Recording, bytes] | None:
        """The message, or None if too little was said. Runs in a thread."""
        if not keep:
            return None
        limits = self._settings.limits
        # The latest take that says something: a caller may have hung up in the middle of another.
        takes = (
            prepare(
                entry.read(name),
                minimum_seconds=limits.minimum_seconds,
                threshold=limits.silence_level,
            )
            for name in take_files(entry.names())
        )
        samples = next((take for take in takes if take is not None), None)
        if samples is None:
            return None
        recording = encode(samples, self._settings.audio_format)
        return recording, render(account, facts, recording, entry.id, self._settings.domain)

    async def _deliver(
        self, entry: SpoolEntry, facts: CallFacts, recording: Recording, message: bytes
    ) -> Outcome:
        # What was recorded was promised room; the promise outlives the reservation's row.
        incoming = self._incoming(facts, recording, message, entry.id, room=Room.PROMISED)
        line = history.line(facts, TAKEN, seconds=recording.duration_seconds)
        return await self._settlement.deliver(entry, incoming, line)

    def _incoming(
        self, facts: CallFacts, recording: Recording, message: bytes, key: str, *, room: Room
    ) -> Incoming:
        return Incoming(
            account_id=facts.account_id,
            kind=MessageKind.VOICE,
            data=message,
            ingest_key=IngestKey(f"{key}:{facts.account_id}"),
            internal_date=facts.started_at,
            reservation_id=facts.reservation_id,
            room=room,
            duration_seconds=recording.whole_seconds,
            flags=(KEYWORDS[MessageKind.VOICE], *((FLAGGED,) if facts.urgent else ())),
        )
