"""What a caller may do after the pound key, and which greeting a caller hears."""

import asyncio
from array import array

import pytest

from tests.support.house import PIN, House
from tests.support.retrieval_call import Prompter
from tests.support.speech import correlates, decode_mp3, say
from tests.support.voicemail_exchange import Exchange, audio_of, settle
from um.core.account import GreetingKind
from um.core.message import FLAGGED
from um.telephony.application import DivertCause, EndReason
from voicemail import preferences
from voicemail.audio import encode_wav
from voicemail.greeting import wanted

FIRST = "The meeting is moved to Tuesday at nine, in the old harbour office, third floor."
SECOND = "Forget what I said before, please call my brother about seventeen blue lanterns."


def story(tell, **chosen):
    async def told():
        operator = chosen.pop("operator", None)
        exchange = Exchange(House(), prompts=Prompter(), review=True, operator=operator)
        account = await exchange.house.add()
        for key, value in chosen.items():
            await exchange.house.store.run(
                "t", lambda tx, k=key, v=value: tx.accounts.set_preference(account.id, k, v)
            )
        await tell(exchange, account)
        await exchange.voicemail.drain()
        assert exchange.voicemail.failures == 0
        assert not exchange.house.spool.entries
        assert await exchange.reserved(account) == 0

    asyncio.run(told())


async def after_pound(exchange, account, text=FIRST):
    call, application = await exchange.to_recording(account)
    exchange.speak(application, say(text))
    application.digit("#")
    assert call.played[-1].startswith(b"<vm-review>")
    return call, application


async def delivered(exchange, account, application):
    application.ended(EndReason.CALLER)
    await exchange.voicemail.drain()
    ((entry, _, octets),) = await exchange.inbox(account)
    return entry, decode_mp3(audio_of(octets)), octets


def test_media_is_at_ease_while_a_message_is_left_and_no_longer():
    """In greeting and recording; not where keys are asked for, and again in another take."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        assert call.at_ease
        exchange.speak(application, say(FIRST))
        application.digit("#")
        assert not call.at_ease
        application.digit("3")
        application.playback_finished()
        assert call.at_ease
        exchange.speak(application, say(SECOND))
        application.digit("#")
        application.digit("1")
        await settle()
        assert not call.at_ease
        await delivered(exchange, account, application)

    story(tell)


def test_an_owner_is_not_at_ease():
    """Who logs in from the greeting is answered at once."""

    async def tell(exchange, account):
        call, application = await exchange.ring(account)
        assert call.at_ease
        application.digit("*")
        assert not call.at_ease
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()

    story(tell, **{preferences.STAR_LOGIN: "yes"})


@pytest.mark.parametrize("key", ["1", "#"])
def test_accepting_saves(key):
    """1 or another pound: saved, and said so."""

    async def tell(exchange, account):
        call, application = await after_pound(exchange, account)
        application.digit(key)
        await settle()
        assert call.played[-1] == b"<vm-msgsaved><vm-goodbye>"
        _, heard, _ = await delivered(exchange, account, application)
        assert correlates(heard, say(FIRST)) > 0.9

    story(tell)


def test_hanging_up_in_the_review_keeps_what_was_said():
    """No key: the message is delivered."""

    async def tell(exchange, account):
        _, application = await after_pound(exchange, account)
        entry, _, _ = await delivered(exchange, account, application)
        assert FLAGGED not in entry.flags

    story(tell)


def test_saying_nothing_more_accepts():
    """Six seconds after the question."""

    async def tell(exchange, account):
        call, application = await after_pound(exchange, account)
        application.playback_finished()
        exchange.house.clock.advance(6)
        call.fire_timers()
        await settle()
        assert call.played[-1] == b"<vm-msgsaved><vm-goodbye>"
        await delivered(exchange, account, application)

    story(tell)


def test_hearing_and_recording_again():
    """2 plays the very words; 3 replaces them."""

    async def tell(exchange, account):
        call, application = await after_pound(exchange, account)
        application.digit("2")
        assert correlates(call.played[-1], say(FIRST)) > 0.99
        application.playback_finished()
        application.digit("3")
        assert call.played[-1] == b"<beep>"
        application.playback_finished()
        exchange.speak(application, say(SECOND))
        application.digit("#")
        application.digit("1")
        _, heard, _ = await delivered(exchange, account, application)
        assert correlates(heard, say(SECOND)) > 0.9

    story(tell)


def test_a_second_take_without_words_leaves_the_first():
    """Hanging up right after the new beep keeps what was said before it."""

    async def tell(exchange, account):
        _, application = await after_pound(exchange, account)
        application.digit("3")
        application.playback_finished()
        _, heard, _ = await delivered(exchange, account, application)
        assert correlates(heard, say(FIRST)) > 0.9

    story(tell)


def test_urgent_is_a_flag_and_a_header_unless_the_owner_forbids_it():
    """4 marks, and takes the mark back."""

    async def tell(exchange, account):
        call, application = await after_pound(exchange, account)
        assert call.played[-1] == b"<vm-review><vm-review-urgent>"
        application.digit("4")
        assert call.played[-1] == b"<vm-marked-urgent><vm-review><vm-review-nonurgent>"
        application.digit("1")
        entry, _, octets = await delivered(exchange, account, application)
        assert FLAGGED in entry.flags
        assert b"Importance: High\r\n" in octets

    story(tell)

    async def forbidden(exchange, account):
        call, application = await after_pound(exchange, account)
        assert call.played[-1] == b"<vm-review>"
        application.digit("4")
        entry, _, _ = await delivered(exchange, account, application)
        assert FLAGGED not in entry.flags

    story(forbidden, **{preferences.URGENT: "no"})


def test_star_in_the_greeting_asks_the_pin_only_where_the_owner_allows_it():
    """Off by default; where it is on, the owner is in after the PIN and no call was missed."""

    async def off(exchange, account):
        call, application = await exchange.ring(account)
        spoken = len(call.played)
        application.digit("*")
        assert len(call.played) == spoken
        application.ended(EndReason.CALLER)

    story(off)

    async def on(exchange, account):
        call, application = await exchange.ring(account)
        application.digit("*")
        await exchange.voicemail.drain()
        assert call.played[-1] == b"<vm-password>"
        for key in f"{PIN}#":
            application.digit(key)
        await exchange.voicemail.drain()
        assert call.played[-1] == b"<vm-youhave><vm-no><vm-messages>"
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert await exchange.history(account) == []

    story(on, **{preferences.STAR_LOGIN: "yes"})


def test_the_greeting_fits_the_reason_of_the_call():
    """Temporary before all, busy for busy, then unavailable, then the name."""
    kinds = GreetingKind
    assert wanted(set(), DivertCause.BUSY) is None
    assert wanted({kinds.BUSY}, DivertCause.NO_ANSWER) is None
    assert wanted({kinds.BUSY, kinds.UNAVAILABLE}, DivertCause.BUSY) is kinds.BUSY
    assert wanted({kinds.NAME, kinds.UNAVAILABLE}, DivertCause.BUSY) is kinds.UNAVAILABLE
    assert wanted({kinds.NAME}, DivertCause.DIRECT) is kinds.NAME
    assert wanted(set(kinds), DivertCause.BUSY) is kinds.TEMPORARY


def test_the_owner_may_switch_the_review_off():
    """The pound key then saves at once."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(FIRST))
        application.digit("#")
        await settle()
        assert call.played[-1] == b"<vm-msgsaved><vm-goodbye>"
        await delivered(exchange, account, application)

    story(tell, **{preferences.REVIEW: "no"})


def test_zero_leads_to_the_operator_and_the_message_is_kept():
    """The configured extension is asked of the core, after what was said is safe."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(FIRST))
        application.digit("0")
        await settle()
        ((target, _),) = call.transfers
        assert target == "100"
        assert call.played[-1] == b"<transfer>"
        application.ended(EndReason.TRANSFERRED)
        await exchange.voicemail.drain()
        assert len(await exchange.inbox(account)) == 1

    story(tell, operator="100")


def test_zero_in_the_greeting_and_nobody_there():
    """The caller is told and leaves a message after the beep; once transferred it is a missed call."""

    async def tell(exchange, account):
        call, application = await exchange.ring(account)
        application.digit("0")
        call.transfers[0][1]()
        assert call.played[-1] == b"<im-sorry><beep>"
        application.digit("0")  # means nothing during the beep
        application.playback_finished()
        application.digit("0")
        assert len(call.transfers) == 2
        application.ended(EndReason.TRANSFERRED)
        await exchange.voicemail.drain()
        assert await exchange.inbox(account) == []
        assert [kind for kind, _, _ in await exchange.history(account)] == ["missed-voice"]

    story(tell, operator="sip:desk@192.0.2.1")


def test_without_an_operator_zero_means_nothing():
    """Nothing dials out by itself."""

    async def tell(exchange, account):
        call, application = await exchange.ring(account)
        application.digit("0")
        application.playback_finished()
        application.playback_finished()
        exchange.speak(application, say(FIRST))
        application.digit("0")
        assert call.transfers == []
        await delivered(exchange, account, application)

    story(tell)


@pytest.mark.parametrize("data", [b"", b"RIFF", encode_wav(array("h"))])
def test_a_greeting_without_sound_is_not_what_a_caller_hears(data):
    """An empty or broken file: the default greeting in its place, and the call goes on."""

    async def tell(exchange, account):
        await exchange.house.greetings.put(account.id, GreetingKind.UNAVAILABLE, data)
        call, application = await exchange.to_recording(account)
        assert call.played[0].startswith(b"<vm-theperson>")
        exchange.speak(application, say(FIRST))
        await delivered(exchange, account, application)

    story(tell)
