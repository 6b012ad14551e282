"""From a recording in the spool to a message in the mailbox, once, whatever happens between.

Laws:
- An entry is discarded only when its message has committed, or when there is nothing to deliver:
  too little sound, or an account that is gone. In doubt it stays.
- The ingest key is the entry's id with the account's: however often an entry is tried, by this
  process or by the one after a crash, it is one message.
- Rendering runs in a thread. Storage that is gone is tried again, ever more slowly, for ever.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import uuid4

import structlog

from um.core.account import Account
from um.core.errors import NotFoundError, UMError, UnavailableError
from um.core.ids import E164, IngestKey
from um.core.message import FLAGGED, MessageKind
from um.core.ports import Clock, Metrics, NoMetrics, SpoolEntry, Store
from um.core.steps import Steps, no_steps
from um.service.delivery import Delivered, Delivery, Incoming, Room
from voicemail import history
from voicemail.audio import Recording, encode, prepare
from voicemail.convert import convert
from voicemail.facts import CallFacts
from voicemail.message import render
from voicemail.recorder import take_files
from voicemail.settings import VoicemailSettings

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What became of a recording."""

    DELIVERED = "delivered"
    MISSED = "missed"
    """Too little sound: a line in the history, nothing stored."""
    GONE = "gone"
    """Its account is no more."""
    WAITING = "waiting"
    """It is in the spool and will be tried again."""
    BROKEN = "broken"
    """Its facts cannot be read; it stays in the spool for an operator to look at."""


@dataclass(slots=True)
class _Waiting:
    entry: SpoolEntry
    due: float
    tries: int


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
        self._delivery = delivery
        self._store = store
        self._clock = clock
        self._settings = settings
        self._steps = steps
        self._metrics = metrics or NoMetrics()
        self._waiting: dict[str, _Waiting] = {}

    @property
    def waiting(self) -> int:
        """How many recordings wait in the spool for the storage to come back."""
        return len(self._waiting)

    async def finish(self, entry: SpoolEntry, *, keep: bool = True) -> Outcome:
        """Deliver a recording, or note a missed call; never raises for storage trouble.

        `keep` false: the dialogue has decided that nothing was said.
        """
        tries = self._waiting.pop(entry.id).tries if entry.id in self._waiting else 0
        try:
            outcome = await self._attempt(entry, keep=keep)
        except UMError as error:
            self._wait(entry, tries, error)
            outcome = Outcome.WAITING
        self._metrics.count(f"voicemail_{outcome}")
        self._metrics.gauge("voicemail_waiting", len(self._waiting))
        log.info("voicemail.finished", entry=entry.id, outcome=outcome.value)
        return outcome

    async def retry_pending(self) -> int:
        """Try those whose time has come; returns how many wait still."""
        now = self._clock.monotonic()
        for each in [each for each in self._waiting.values() if each.due <= now]:
            if each.entry.id in self._waiting:
                await self.finish(each.entry)
        return len(self._waiting)

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
        facts = CallFacts(
            account_id=account.id,
            number=number,
            caller_number=caller_number,
            caller_name=caller_name,
            started_at=when,
            call_id=key,
            cause="",
            reservation_id=None,
        )

        def make() -> tuple[Recording, bytes]:
            samples = convert(data, longest_seconds=longest)
            recording = encode(samples, self._settings.audio_format)
            return recording, render(account, facts, recording, key, self._settings.domain)

        recording, message = await asyncio.to_thread(make)
        delivered = await self._delivery.deliver(
            self._incoming(facts, recording, message, key, room=Room.NORMAL)
        )
        await self._note_quietly(facts, recording)
        return delivered

    async def _note_quietly(self, facts: CallFacts, recording: Recording) -> None:
        """The message is in: an error now would only make the operator deliver it again."""
        line = history.line(facts, history.TAKEN, seconds=recording.duration_seconds)
        try:
            await history.note(self._store, line)
        except UMError as error:
            log.warning("voicemail.not-in-history", call=facts.call_id, error=error.code)

    async def _attempt(self, entry: SpoolEntry, *, keep: bool) -> Outcome:
        try:
            facts = CallFacts.read(entry.facts)
        except (KeyError, ValueError):
            log.exception("voicemail.broken-facts", entry=entry.id)
            return Outcome.BROKEN
        account = await self._store.read(
            "voice-account", lambda tx: tx.accounts.get(facts.account_id)
        )
        if account is None:
            await entry.discard()
            return Outcome.GONE
        started = self._clock.monotonic()
        try:
            rendered = await asyncio.to_thread(self._render, entry, account, facts, keep=keep)
            self._metrics.observe("voicemail_render_seconds", self._clock.monotonic() - started)
            if rendered is None:
                return await self._miss(entry, facts)
            await self._deliver(entry, facts, *rendered)
        except (NotFoundError, FileNotFoundError):  # purged while we worked
            await entry.discard()
            return Outcome.GONE
        except OSError as error:
            raise UnavailableError from error
        return Outcome.DELIVERED

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
    ) -> None:
        # What was recorded was promised room; the promise outlives the reservation's row.
        incoming = self._incoming(facts, recording, message, entry.id, room=Room.PROMISED)
        await self._delivery.deliver(incoming)
        seconds = recording.duration_seconds
        await history.note(self._store, history.line(facts, history.TAKEN, seconds=seconds))
        self._steps("delivery.acknowledging")
        await entry.discard()

    async def _miss(self, entry: SpoolEntry, facts: CallFacts) -> Outcome:
        await history.note(self._store, history.line(facts, history.MISSED))
        if facts.reservation_id is not None:
            await self._delivery.release(facts.reservation_id)
        await entry.discard()
        return Outcome.MISSED

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
            flags=(FLAGGED,) if facts.urgent else (),
        )

    def _wait(self, entry: SpoolEntry, tries: int, error: UMError) -> None:
        pauses = self._settings.retry_seconds
        due = self._clock.monotonic() + pauses[min(tries, len(pauses) - 1)]
        self._waiting[entry.id] = _Waiting(entry, due, tries + 1)
        level = log.warning if isinstance(error, UnavailableError) else log.error
        level("voicemail.waiting", entry=entry.id, error=error.code, tries=tries + 1)
