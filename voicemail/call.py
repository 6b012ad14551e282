"""One call to a mailbox: moves events and outputs between the telephone and the dialogue.

Laws:
- Room is reserved before the call is answered; without room, or with the storage in trouble, the
  call is answered only to say so.
- The methods called by the telephone never block and never wait: what takes time runs as a task.
- However the call goes, its recording or its missed call is settled once.
- A fax machine on a number for both uses is handed over to the fax; nothing of it is a message. So it is
  where voicemail is off: people hear that nobody is available, and nothing is recorded.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from um.core.account import NumberUse
from um.core.errors import QuotaExceededError, UMError
from um.core.ports import Spool, SpoolEntry
from um.mime.build import AudioFormat
from um.mime.clean import clean_text
from um.policy.quota import (
    MP3_OCTETS_PER_SECOND,
    WAV_OCTETS_PER_SECOND,
    worst_case_voice_octets,
)
from um.service import history
from um.service.call_facts import CallFacts
from um.telephony.application import Call, EndReason, HandOver, ToneDetector
from voicemail import events, preferences
from voicemail.deposit import Deposits
from voicemail.dialogue import Deposit, Offers
from voicemail.events import Clip, Output, Words
from voicemail.facts import MISSED, URGENT, write_facts
from voicemail.greeting import MAILBOX_FULL, OFF, announcement, greeting, wanted
from voicemail.line import Line
from voicemail.recorder import SPOOL_ERRORS, Recorder
from voicemail.retrieval import Door, RetrievalCall, RetrievalHouse
from voicemail.sound import decode

if TYPE_CHECKING:
    from um.core.ids import ReservationId

log = structlog.get_logger(__name__)

RESERVED_SECONDS = 600.0
"""A greeting, the longest message and its rendering, generously."""


class House(RetrievalHouse, Protocol):
    """What a call needs around it (`voicemail.app`)."""

    spool: Spool
    deposits: Deposits
    fax_tones: Callable[[], ToneDetector] | None
    """Makes what hears that a fax machine calls; None: there is nobody to take its call."""


class VoicemailCall:
    """`um.telephony.application.CallApplication`: a caller leaves a message."""

    def __init__(self, house: House, call: Call) -> None:
        self._house = house
        self._call = call
        self._line = Line(call, house.clock, house.prompts, self._perform)
        self._recorder = Recorder(
            sync_seconds=house.settings.sync_seconds,
            on_failure=lambda: self._line.feed(events.Failed()),
        )
        self._started_at = house.clock.now()
        self._reservation: ReservationId | None = None
        self._refusal: Words = ()
        self._opening: asyncio.Task[None] | None = None
        self._settled = False
        self._elsewhere = False
        """Another telephone took the call before we answered: nobody was missed."""
        self._owner: RetrievalCall | None = None
        """Has the call when the caller turned out to be the owner."""
        self._fax_tones: ToneDetector | None = None
        self._is_fax = False
        house.spawn(self._prepare())

    def answered(self) -> None:
        """The call is up: greet, and open the spool meanwhile."""
        self._started_at = self._house.clock.now()
        self._call.be_at_ease(at_ease=True)
        self._line.feed(events.Answered())
        if not self._refusal:
            self._opening = self._house.spawn(self._open_spool())
        if self._is_off or not self._refusal:
            self._listen_for_fax()

    def audio(self, samples: bytes) -> None:
        if self._owner is not None:
            self._owner.audio(samples)
        elif self._hears_fax(samples):
            self._make_way()
        else:
            self._line.feed(events.AudioReceived(samples))

    def digit(self, digit: str) -> None:
        if self._owner is not None:
            self._owner.digit(digit)
        else:
            self._line.feed(events.DigitPressed(digit))

    def playback_finished(self) -> None:
        (self._owner or self._line).playback_finished()

    def ended(self, reason: EndReason) -> None:
        """The call is over: what was said is kept."""
        log.info("voicemail.call-ended", call=self._call.info.call_id, reason=reason.value)
        self._elsewhere = reason is EndReason.ELSEWHERE
        self._line.end()
        if self._owner is not None:
            self._owner.ended(reason)
        if not self._settled:
            self._settle_without_message()
        elif self._is_fax:  # it gave up before the fax could take it
            self._house.spawn(self._note_without_entry(MISSED))

    # ---- a fax machine

    @property
    def _is_off(self) -> bool:
        """Voicemail is switched off: the call is answered only to say so, and for a fax machine."""
        return not self._call.account.voicemail_enabled

    def _listen_for_fax(self) -> None:
        if self._call.number.use is NumberUse.BOTH and self._house.fax_tones is not None:
            self._fax_tones = self._house.fax_tones()
            self._call.yield_to_t38(self._yields)

    def _hears_fax(self, samples: bytes) -> bool:
        """Whether a fax machine calls; no modem survives a codec that keeps no waveforms."""
        if self._fax_tones is None or self._settled or not self._call.waveform:
            return False
        return bool(self._fax_tones.feed(samples))

    def _yields(self) -> bool:
        """Whether the core, which offers T.38, gets its fax: not while a message is being saved."""
        if self._settled:
            return False
        self._make_way()
        return True

    def _make_way(self) -> None:
        """What was recorded so far is a fax machine's calling tone: no message, no missed call."""
        log.info("voicemail.fax-heard", call=self._call.info.call_id)
        self._settled = self._is_fax = True
        self._line.leave()
        self._house.spawn(self._hand_over())

    async def _hand_over(self) -> None:
        """Give the room back before the fax asks for its own."""
        await self._give_back()
        self._call.call_later(0, self._hand_over_now)

    def _hand_over_now(self) -> None:
        if not self._line.over:
            raise HandOver("fax")

    # ---- a caller

    async def _prepare(self) -> None:
        """Reserve room, then answer: with a greeting, or with the reason why not."""
        if self._is_off:
            self._refusal = announcement(OFF)
        else:
            await self._reserve()
        words, offers = await self._words()
        if self._line.over:  # the caller did not wait
            await self._note_without_entry(MISSED)
            return
        self._line.dialogue = Deposit(
            words,
            refusal=self._refusal,
            limits=self._house.settings.limits,
            offers=offers,
            keys=self._house.settings.keys,
        )
        self._call.answer()

    async def _reserve(self) -> None:
        """Promise room for the longest message, or have the reason why there is none."""
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

    async def _words(self) -> tuple[Words, Offers]:
        """The greeting, and what the owner lets callers do; the default in case of trouble."""
        account_id, cause = self._call.account.id, self._call.info.cause
        number = self._call.number.e164
        settings = self._house.settings
        operator = settings.operator is not None
        try:
            kind = wanted(await self._house.greetings.kinds(account_id), cause)
            data = await self._house.greetings.get(account_id, kind) if kind else None
            samples = await asyncio.to_thread(decode, data) if data else None
            recording = Clip(samples.tobytes()) if samples else None
            chosen = await self._house.store.read(
                "call-preferences", lambda tx: tx.accounts.preferences(account_id)
            )
        except (UMError, OSError) as error:
            log.warning("voicemail.default-greeting", error=repr(error))
            return greeting(number, cause), Offers(review=settings.review, operator=operator)
        offers = Offers(
            review=preferences.is_on(chosen, preferences.REVIEW, default=settings.review),
            urgent=preferences.is_on(chosen, preferences.URGENT),
            log_in=preferences.is_on(chosen, preferences.STAR_LOGIN),
            operator=operator,
        )
        return greeting(number, cause, kind=kind, recording=recording), offers

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

    def _perform(self, output: Output) -> None:
        match output:
            case events.Record(samples):
                self._recorder.append(samples)
            case events.StartRecording():
                log.info("voicemail.recording", call=self._call.info.call_id)
                self._call.be_at_ease(at_ease=True)
            case events.Pause():
                self._call.be_at_ease(at_ease=False)
                self._recorder.pause()
            case events.PlayRecording():
                self._line.play(self._recorder.latest())
            case events.RecordAgain():
                self._recorder.again()
            case events.Finish(keep, urgent):
                self._settled = True
                self._call.be_at_ease(at_ease=False)
                self._house.spawn(self._finish(keep=keep, urgent=urgent))
            case events.Transfer():
                self._call.be_at_ease(at_ease=False)
                operator = self._house.settings.operator or ""
                self._call.transfer(operator, lambda: self._line.feed(events.TransferRefused()))
            case events.LogIn():
                self._settled = True
                self._call.be_at_ease(at_ease=False)
                self._owner = RetrievalCall(self._house, self._call, door=Door.GREETING)
                self._house.spawn(self._give_back())

    async def _finish(self, *, keep: bool, urgent: bool) -> None:
        """Seal the recording, acknowledge it, deliver it."""
        entry = await self._entry()
        if entry is None:
            self._line.feed(events.Failed())
            await self._note_without_entry(MISSED)
            return
        if keep and await self._sealed(urgent=urgent):
            self._line.feed(events.Saved())
        await self._house.deposits.finish(entry, keep=keep)

    def _settle_without_message(self) -> None:
        """The call was refused, or the spool failed: note it, keep what can be kept."""
        self._settled = True
        if self._refusal:
            detail = OFF if self._is_off else ""
            self._house.spawn(self._note_without_entry(history.REFUSED, detail))
        elif self._line.dialogue is not None:
            self._house.spawn(self._salvage())

    async def _salvage(self) -> None:
        entry = await self._entry()
        if entry is None:
            await self._note_without_entry(MISSED)
            return
        await self._sealed()  # the disk may have room again
        await self._house.deposits.finish(entry)

    async def _give_back(self) -> None:
        """The owner came, or a fax machine: there is no message and no missed call."""
        entry = await self._entry()
        await self._recorder.let_go()
        try:
            if entry is not None:
                await entry.discard()
            if self._reservation is not None:
                await self._house.delivery.release(self._reservation)
        except SPOOL_ERRORS as error:  # the reservation expires by itself
            log.warning("voicemail.not-given-back", error=repr(error))

    async def _entry(self) -> SpoolEntry | None:
        """The spool entry when it is open; None if it never will be."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        return self._recorder.entry

    async def _sealed(self, *, urgent: bool = False) -> bool:
        """Make the recording durable; whether that went well."""
        facts = {"ended_at": self._house.clock.now().isoformat()}
        facts |= {URGENT: "yes"} if urgent else {}
        try:
            await self._recorder.seal(facts)
        except SPOOL_ERRORS as error:
            self._recorder.fail(error)
            return False
        return True

    async def _note_without_entry(self, kind: str, detail: str = "") -> None:
        """A line in the history for a call that has nothing in the spool; its room is given back."""
        try:
            if not self._elsewhere:
                line = history.line(self._facts(), kind, detail=detail)
                await history.note(self._house.store, line)
            if self._reservation is not None:
                await self._house.delivery.release(self._reservation)
        except UMError as error:  # the reservation expires by itself
            log.warning("voicemail.not-noted", call=self._call.info.call_id, error=error.code)
