"""One call to a mailbox: moves events and outputs between the telephone and the dialogue.

Laws:
- Room is reserved before the call is answered; without room, or with the storage in trouble, the
  call is answered only to say so.
- The methods called by the telephone never block and never wait: what takes time runs as a task.
- However the call goes, its recording or its missed call is settled once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from um.core.errors import QuotaExceededError, UMError
from um.core.ports import Clock, Spool, SpoolEntry, Store
from um.mime.build import AudioFormat
from um.mime.clean import clean_text
from um.policy.quota import (
    MP3_OCTETS_PER_SECOND,
    WAV_OCTETS_PER_SECOND,
    worst_case_voice_octets,
)
from um.service import history
from um.service.call_facts import CallFacts
from um.service.delivery import Delivery
from um.telephony.application import Call, EndReason
from voicemail import events
from voicemail.deposit import Deposits
from voicemail.dialogue import Deposit
from voicemail.events import Event, Output, Words
from voicemail.facts import MISSED, write_facts
from voicemail.greeting import MAILBOX_FULL, announcement, greeting
from voicemail.prompts import Prompts
from voicemail.recorder import SPOOL_ERRORS, Recorder
from voicemail.settings import VoicemailSettings

if TYPE_CHECKING:
    from um.core.ids import ReservationId

log = structlog.get_logger(__name__)

RESERVED_SECONDS = 600.0
"""A greeting, the longest message and its rendering, generously."""


class House(Protocol):
    """What a call needs around it (`voicemail.app`)."""

    spool: Spool
    delivery: Delivery
    store: Store
    deposits: Deposits
    clock: Clock
    prompts: Prompts
    settings: VoicemailSettings

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept and waited for at the end."""
        ...


class VoicemailCall:
    """`um.telephony.application.CallApplication`: a caller leaves a message."""

    def __init__(self, house: House, call: Call) -> None:
        self._house = house
        self._call = call
        self._dialogue: Deposit | None = None
        self._recorder = Recorder(
            sync_seconds=house.settings.sync_seconds,
            on_failure=lambda: self._feed(events.Failed()),
        )
        self._started_at = house.clock.now()
        self._reservation: ReservationId | None = None
        self._refusal: Words = ()
        self._opening: asyncio.Task[None] | None = None
        self._settled = False
        self._over = False
        self._playing = False
        self._inbox: deque[Event] = deque()
        self._working = False
        self._timer: tuple[float, Callable[[], None]] | None = None
        house.spawn(self._prepare())

    def answered(self) -> None:
        """The call is up: greet, and open the spool meanwhile."""
        self._started_at = self._house.clock.now()
        self._feed(events.Answered())
        if not self._refusal:
            self._opening = self._house.spawn(self._open_spool())

    def audio(self, samples: bytes) -> None:
        self._feed(events.AudioReceived(samples))

    def digit(self, digit: str) -> None:
        self._feed(events.DigitPressed(digit))

    def playback_finished(self) -> None:
        if self._playing:  # not for what was cut off by `stop_playing`
            self._playing = False
            self._feed(events.PlaybackFinished())

    def ended(self, reason: EndReason) -> None:
        """The call is over: what was said is kept."""
        self._over = True
        self._disarm()
        log.info("voicemail.call-ended", call=self._call.info.call_id, reason=reason.value)
        self._feed(events.Ended())
        if not self._settled:
            self._settle_without_message()

    async def _prepare(self) -> None:
        """Reserve room, then answer: with a greeting, or with the reason why not."""
        seconds = self._house.settings.limits.max_seconds
        mp3 = self._house.settings.audio_format is AudioFormat.MP3
        rate = MP3_OCTETS_PER_SECOND if mp3 else WAV_OCTETS_PER_SECOND
        octets = worst_case_voice_octets(seconds, octets_per_second=rate)
        try:
            self._reservation = await self._house.delivery.reserve(
                self._call.account.id, octets, seconds=seconds + RESERVED_SECONDS
            )
        except QuotaExceededError:
            self._refusal = MAILBOX_FULL
        except UMError as error:
            self._refusal = announcement(error.code)
        if self._over:  # the caller did not wait
            await self._note_without_entry(MISSED)
            return
        self._dialogue = Deposit(
            greeting(self._call.number.e164, self._call.info.cause),
            refusal=self._refusal,
            limits=self._house.settings.limits,
        )
        self._call.answer()

    async def _open_spool(self) -> None:
        try:
            entry = await self._house.spool.open(write_facts(self._facts()))
        except SPOOL_ERRORS as error:
            self._recorder.fail(error)
        else:
            self._recorder.begin(entry)

    def _facts(self) -> CallFacts:
        info = self._call.info
        return CallFacts(
            account_id=self._call.account.id,
            number=self._call.number.e164,
            caller_number=clean_text(info.caller_number),
            caller_name=clean_text(info.caller_name),
            started_at=self._started_at,
            call_id=clean_text(info.call_id, 250),
            cause=info.cause.value,
            reservation_id=self._reservation,
        )

    def _feed(self, event: Event) -> None:
        """Give the dialogue an event; one that arises while another is worked on waits its turn."""
        if self._dialogue is None:
            return
        self._inbox.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._inbox:
                now = self._house.clock.monotonic()
                for output in self._dialogue.receive(self._inbox.popleft(), now):
                    self._perform(output)
        finally:
            self._working = False
        self._arm(self._dialogue.get_timer())

    def _arm(self, deadline: float | None) -> None:
        """See that `TimerExpired` comes; one that comes early does no harm and arms again."""
        if deadline is None or self._over:
            self._disarm()
        elif self._timer is None or self._timer[0] > deadline:
            self._disarm()
            pause = max(0.0, deadline - self._house.clock.monotonic())
            self._timer = (deadline, self._call.call_later(pause, self._expire))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer[1]()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._feed(events.TimerExpired())

    def _perform(self, output: Output) -> None:
        match output:
            case events.Record(samples):
                self._recorder.append(samples)
            case events.Play(prompts):
                self._play(prompts)
            case events.StopPlaying():
                self._playing = False
                self._call.stop_playing()
            case events.StartRecording():
                log.info("voicemail.recording", call=self._call.info.call_id)
            case events.Finish(keep):
                self._settled = True
                self._house.spawn(self._finish(keep=keep))
            case events.HangUp():
                self._call.hang_up()

    def _play(self, prompts: Words) -> None:
        self._playing = True
        samples = self._house.prompts.spoken(prompts, language=self._call.account.language)
        if samples:
            self._call.play(samples)
        else:  # every file is missing: the call goes on as if they had been spoken
            self._call.call_later(0, self.playback_finished)

    async def _finish(self, *, keep: bool) -> None:
        """Seal the recording, acknowledge it, deliver it."""
        entry = await self._entry()
        if entry is None:
            self._feed(events.Failed())
            await self._note_without_entry(MISSED)
            return
        if keep and await self._sealed():
            self._feed(events.Saved())
        await self._house.deposits.finish(entry, keep=keep)

    def _settle_without_message(self) -> None:
        """The call was refused, or the spool failed: note it, keep what can be kept."""
        self._settled = True
        if self._refusal:
            self._house.spawn(self._note_without_entry(history.REFUSED))
        elif self._dialogue is not None:
            self._house.spawn(self._salvage())

    async def _salvage(self) -> None:
        entry = await self._entry()
        if entry is None:
            await self._note_without_entry(MISSED)
            return
        await self._sealed()  # the disk may have room again
        await self._house.deposits.finish(entry)

    async def _entry(self) -> SpoolEntry | None:
        """The spool entry when it is open; None if it never will be."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        return self._recorder.entry

    async def _sealed(self) -> bool:
        """Make the recording durable; whether that went well."""
        try:
            await self._recorder.seal({"ended_at": self._house.clock.now().isoformat()})
        except SPOOL_ERRORS as error:
            self._recorder.fail(error)
            return False
        return True

    async def _note_without_entry(self, kind: str) -> None:
        """A line in the history for a call that has nothing in the spool; its room is given back."""
        try:
            await history.note(self._house.store, history.line(self._facts(), kind))
            if self._reservation is not None:
                await self._house.delivery.release(self._reservation)
        except UMError as error:  # the reservation expires by itself
            log.warning("voicemail.not-noted", call=self._call.info.call_id, error=error.code)
