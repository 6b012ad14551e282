"""Callers inside Asterisk who speak, press keys and listen, and what um must make of it."""

import asyncio
from array import array
from collections.abc import Callable

from tests.support.asterisk import Asterisk
from tests.support.inbox import PASSWORD
from tests.support.mail_program import Mail, MailProgram
from tests.support.server import Server
from tests.support.speech import SAMPLE_RATE, decode_mp3, duration, resembles, save_wav, say
from voicemail.level import sound_of

CALLER = "+15559870001"
OWNER = "anna"
SPOKEN_SECONDS = 5.0
EXACT_SECONDS = 0.35
"""So much may the sound be longer or shorter than what was said, and silence follow it.

How long a caller waits after the beep is Asterisk's, and the machine's: more on a busy one.
"""

CALLERS = """
[callers]
; Skips the greeting, speaks after the beep, hangs up.
exten => leave,1,Wait(1)
 same => n,SendDTMF(#)
 same => n,Wait(1.2)
 same => n,Playback(${WORDS})
 same => n,Hangup()
; The same, but ends the message with # and waits for the other side to hang up: the review is spoken for
; 11 s, its silence lasts 6 s, and the goodbye 3 s.
exten => press,1,Wait(1)
 same => n,SendDTMF(#)
 same => n,Wait(1.2)
 same => n,Playback(${WORDS})
 same => n,SendDTMF(#)
 same => n,Wait(40)
 same => n,Verbose(0,UM DID NOT HANG UP)
; Hears everything, keeps it, and hangs up after the beep. Record keeps each packet that comes; MixMonitor
; would throw some away to keep two directions in step when packets come late, as on a busy machine.
exten => listen,1,Record(${HEARD}.wav,0,${LISTEN},qk)
 same => n,Hangup()
; An owner on *98: KEYS, then listens for a while.
exten => owner,1,Wait(1)
 same => n,SendDTMF(${KEYS})
 same => n,Record(${HEARD}.wav,0,${LISTEN},qk)
 same => n,Hangup()
; An owner's first call: the PIN twice, then a name and a greeting, each accepted by 1.
exten => owner-first,1,Wait(1)
 same => n,SendDTMF(${PIN}#)
 same => n,Wait(1)
 same => n,SendDTMF(${PIN}#)
 same => n,Wait(${PROMPT})
 same => n,Playback(${NAME})
 same => n,SendDTMF(#)
 same => n,Wait(1)
 same => n,SendDTMF(1)
 same => n,Wait(${PROMPT})
 same => n,Playback(${NAME})
 same => n,SendDTMF(#)
 same => n,Wait(1)
 same => n,SendDTMF(1)
 same => n,Wait(2)
 same => n,Hangup()
exten => h,1,Verbose(0,CALLER ${MARK} IS DONE)
"""
"""Contexts for `Asterisk(dialplan=…)`; `call` runs one of their extensions."""


def words() -> bytes:
    """What every caller says."""
    return say(seconds=SPOKEN_SECONDS)


def call(
    asterisk: Asterisk,
    channel: str,
    script: str,
    mark: str,
    *,
    caller: str = CALLER,
    **variables: str,
) -> None:
    """Call `channel`, run the caller `script` and wait until it is done; `mark` is new each time."""
    recording = asterisk.folder / "words.wav"
    if not recording.exists():
        save_wav(words(), recording)
    known = {"WORDS": str(recording.with_suffix("")), "MARK": mark, **variables}
    asterisk.call(channel, f"{script}@callers", caller=caller, variables=known)
    asterisk.wait_said(f"CALLER {mark} IS DONE", seconds=90, unless="Call failed to go")


def message_by(server: Server, place: Callable[[], object]) -> Mail:
    """Idle, place the call, and read what IDLE told of."""

    async def go() -> Mail:
        imaps = server.address("imaps")
        async with MailProgram(imaps.host, imaps.port, OWNER, PASSWORD) as program:
            before = program.exists
            await program.idle()
            arrived = asyncio.create_task(program.wait_for_more(before))
            await asyncio.to_thread(place)
            await arrived
            return (await program.read_all())[-1]

    return asyncio.run(go())


def check(mail: Mail, *, number: str, cause: str) -> None:
    """Who called whom and why, and every word of it, in its true length and nothing after it."""
    message = mail.message
    assert message["Message-Context"] == "voice-message"
    assert message["X-CallingTelephoneNumber"] == CALLER
    assert message["X-VoiceMessageSenderName"] == "Alice Example"
    assert f"{number}@um.example.net" in message["To"]
    assert message["X-UM-Redirect-Cause"] == cause
    heard = decode_mp3(mail.attachment("audio/mpeg"))
    said, kept = (sound_of(array("h", each)) for each in (words(), heard))
    assert abs(kept.seconds - said.seconds) < EXACT_SECONDS, kept
    assert duration(heard) - kept.end / SAMPLE_RATE < EXACT_SECONDS, kept
    likeness = resembles(words(), heard, max_shift_seconds=3)
    assert likeness > 0.9, (likeness, kept)
