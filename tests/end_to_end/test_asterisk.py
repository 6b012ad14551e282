"""um behind Asterisk 22: the recipe in docs/telephony/asterisk, with real calls through it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.asterisk import Asterisk
from tests.support.desk_phone import BUSY, DeskPhone
from tests.support.inbox import PASSWORD
from tests.support.listening import heard_within
from tests.support.mail_program import Mail, MailProgram
from tests.support.server import Server
from tests.support.speech import correlates, decode_mp3, duration, save_wav, say
from tests.support.telephone import HangUp, Telephone, WaitForBeep
from voicemail.prompts import Prompts

pytestmark = pytest.mark.slow

NUMBER, BUSY_NUMBER, FAX_NUMBER = "+15551230001", "+15551230003", "+15551230002"
CALLER = "+15559870001"
SPOKEN_SECONDS = 5.0
RING_SECONDS = 2

CALLERS = f"""
[callers]
; Skips the greeting, speaks after the beep, hangs up.
exten => leave,1,Wait(1)
 same => n,SendDTMF(#)
 same => n,Wait(1.2)
 same => n,Playback(${{WORDS}})
 same => n,Hangup()
; The same, but ends the message with # and waits for the other side to hang up.
exten => press,1,Wait(1)
 same => n,SendDTMF(#)
 same => n,Wait(1.2)
 same => n,Playback(${{WORDS}})
 same => n,SendDTMF(#)
 same => n,Wait(20)
 same => n,Verbose(0,UM DID NOT HANG UP)
; Hears everything, keeps it, and hangs up after the beep.
exten => listen,1,MixMonitor(${{HEARD}}.wav,r(${{HEARD}}-in.wav))
 same => n,Wait(${{LISTEN}})
 same => n,Hangup()
exten => h,1,Verbose(0,CALLER ${{MARK}} IS DONE)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        numbers = [f"{NUMBER}:voice", f"{BUSY_NUMBER}:voice", f"{FAX_NUMBER}:fax"]
        running.add_account("anna", password=PASSWORD, numbers=numbers)
        yield running


@pytest.fixture(scope="module")
def start(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Asterisk]]:
    """Starts an Asterisk with a phone that rings and one that is busy."""
    with ExitStack() as stack:
        ringing = stack.enter_context(DeskPhone(number=NUMBER))
        busy = stack.enter_context(DeskPhone(BUSY, number=BUSY_NUMBER))

        def begin(**more: object) -> Asterisk:
            changes = {"Set(RING=20)": f"Set(RING={RING_SECONDS})", **more.pop("changes", {})}
            return stack.enter_context(
                Asterisk(
                    tmp_path_factory.mktemp("asterisk"),
                    um=server.address("sip"),
                    phones={NUMBER: ringing.port, BUSY_NUMBER: busy.port},
                    dialplan=CALLERS,
                    changes=changes,
                    **more,
                )
            )

        yield begin


@pytest.fixture(scope="module")
def asterisk(start: Callable[..., Asterisk]) -> Asterisk:
    return start()


def words() -> bytes:
    return say(seconds=SPOKEN_SECONDS)


def call(asterisk: Asterisk, channel: str, script: str, mark: str, **variables: str) -> None:
    """Place a call and wait until its caller is done."""
    recording = asterisk.folder / "words.wav"
    if not recording.exists():
        save_wav(words(), recording)
    known = {"WORDS": str(recording.with_suffix("")), "MARK": mark, **variables}
    asterisk.call(channel, f"{script}@callers", caller=CALLER, variables=known)
    asterisk.wait_said(f"CALLER {mark} IS DONE", seconds=90, unless="Call failed to go")


def message_by(server: Server, place: Callable[[], object]) -> Mail:
    """Idle, place the call, and read what IDLE told of."""

    async def go() -> Mail:
        imaps = server.address("imaps")
        async with MailProgram(imaps.host, imaps.port, "anna", PASSWORD) as program:
            before = program.exists
            await program.idle()
            arrived = asyncio.create_task(program.wait_for_more(before))
            await asyncio.to_thread(place)
            await arrived
            return (await program.read_all())[-1]

    return asyncio.run(go())


def check(mail: Mail, *, cause: str, number: str = NUMBER) -> None:
    """Who called whom and why, and every word of it.

    The caller pauses a little after the beep, so the message is up to 1.5 s longer than the words.
    """
    message = mail.message
    assert message["Message-Context"] == "voice-message"
    assert message["X-CallingTelephoneNumber"] == CALLER
    assert message["X-VoiceMessageSenderName"] == "Alice Example"
    assert f"{number}@um.example.net" in message["To"]
    assert message["X-UM-Redirect-Cause"] == cause
    heard = decode_mp3(mail.attachment("audio/mpeg"))
    assert SPOKEN_SECONDS - 0.25 <= duration(heard) <= SPOKEN_SECONDS + 1.5
    assert correlates(words(), heard, max_shift_seconds=2) > 0.9


def test_nobody_answers_and_the_caller_leaves_a_message(server: Server, asterisk: Asterisk) -> None:
    """The phone rings, Asterisk diverts the call, the caller speaks and hangs up."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{NUMBER}@um-customers/n", "leave", "no-answer")
    )
    check(mail, cause="no-answer")


def test_hash_ends_the_message_and_um_hangs_up(server: Server, asterisk: Asterisk) -> None:
    """The phone is busy; the digits of Asterisk's SendDTMF are heard, and the BYE is ours."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{BUSY_NUMBER}@um-customers/n", "press", "hash")
    )
    check(mail, cause="busy", number=BUSY_NUMBER)
    assert "UM DID NOT HANG UP" not in asterisk.said()


def test_the_reason_picks_the_greeting(server: Server, asterisk: Asterisk) -> None:
    """Who calls a busy phone hears that it is busy; who calls one that rings, that nobody is there."""
    sip = server.address("sip")
    measured = Telephone().call(
        (sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}", [WaitForBeep(40), HangUp()]
    )
    prompts = Prompts()
    phrases = {BUSY_NUMBER: "vm-isonphone", NUMBER: "vm-isunavail"}
    for number, phrase in phrases.items():
        heard = asterisk.folder / f"heard{number}"
        wait = str(round(measured.seconds + 0.5, 1))
        call(
            asterisk,
            f"Local/{number}@um-customers/n",
            "listen",
            phrase,
            HEARD=str(heard),
            LISTEN=wait,
        )
        said = decode_mp3(heard.with_name(f"{heard.name}-in.wav").read_bytes())
        found = {each: heard_within(prompts.samples(each), said) for each in phrases.values()}
        assert found[phrase] > 0.8, found
        assert max(value for each, value in found.items() if each != phrase) < 0.5, found


def test_the_mailbox_and_reason_in_the_request_uri(
    server: Server, start: Callable[..., Asterisk]
) -> None:
    """RFC 4458: `target` and `cause`, with A-law alone on the wire."""
    asterisk = start(codecs="alaw", changes={"Gosub(um-divert,": "Gosub(um-divert-by-target,"})
    for number, cause in ((NUMBER, "no-answer"), (BUSY_NUMBER, "busy")):
        mail = message_by(
            server, lambda to=number: call(asterisk, f"Local/{to}@um-customers/n", "leave", to)
        )
        check(mail, cause=cause, number=number)


def test_a_number_without_a_phone(server: Server, asterisk: Asterisk) -> None:
    """The Request-URI names the mailbox; the call was not diverted."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "leave", "direct")
    )
    check(mail, cause="direct")
