"""A call from the first ring to the message in the mailbox, over the memory stores."""

import asyncio
from email import message_from_bytes
from email.policy import default

import pytest

from tests.support.fake_call import CALLER, FakeCall
from tests.support.house import DOMAIN, NUMBER, House
from tests.support.speech import correlates, decode_mp3, duration, say, silence
from tests.support.voicemail_exchange import PROMPTS, Exchange, audio_of, settle
from um.core.message import MessageKind
from um.policy.quota import worst_case_voice_octets
from um.telephony.application import EndReason
from voicemail import dialogue
from voicemail.greeting import MAILBOX_FULL
from voicemail.prompts import Prompts


def story(tell):
    """Run an async test with a house and one account."""

    async def told():
        exchange = Exchange(House())
        account = await exchange.house.add()
        await tell(exchange, account)
        await exchange.voicemail.drain()
        assert exchange.voicemail.failures == 0

    asyncio.run(told())


def test_what_is_said_after_the_beep_is_in_the_mailbox():
    """Speech, hang-up: one voice message with caller, length, and the very words."""
    spoken = say()

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        started = exchange.house.clock.now()
        exchange.speak(application, spoken)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        ((entry, content, octets),) = await exchange.inbox(account)
        message = message_from_bytes(octets, policy=default)
        assert entry.kind is MessageKind.VOICE
        assert entry.internal_date == started
        assert content.duration_seconds == round(duration(spoken)) == 13
        assert message["Content-Duration"] == "13"
        assert message["Message-Context"] == "voice-message"
        assert str(message["From"]) == f"Anna <{CALLER}@{DOMAIN}>"
        assert f"{NUMBER}@{DOMAIN}" in message["To"]
        heard = decode_mp3(audio_of(octets))
        assert duration(heard) == pytest.approx(duration(spoken), abs=0.25)
        assert correlates(heard, spoken) > 0.95
        assert await exchange.history(account) == [("voice", CALLER, 13)]
        assert await exchange.reserved(account) == 0
        assert not exchange.house.spool.entries

    story(tell)


def test_pound_says_saved_only_when_it_is_durable():
    """`#`: the recording is sealed, then "message saved", then the message is there."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=4))
        application.digit("#")
        (entry,) = exchange.house.spool.entries.values()
        assert not entry.sealed
        assert call.played[-1] == PROMPTS.samples("beep")
        await settle()
        assert entry.sealed
        assert call.played[-1] == PROMPTS.spoken(dialogue.MESSAGE_SAVED)
        application.playback_finished()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert len(await exchange.inbox(account)) == 1

    story(tell)


def test_the_greeting_speaks_the_number_and_the_beep_follows():
    """What the caller hears first; `#` cuts it short."""

    async def tell(exchange, account):
        call, application = await exchange.ring(account)
        digits = tuple(f"digits/{digit}" for digit in NUMBER[1:])
        words = ("vm-theperson", *digits, "vm-isunavail", "vm-intro")
        assert call.played == [PROMPTS.spoken(words)]
        application.digit("#")
        assert call.stopped == 1
        assert call.played[-1] == PROMPTS.samples("beep")
        application.ended(EndReason.CALLER)

    story(tell)


def test_silence_is_cut_off_and_counts_for_nothing():
    """Eight seconds of silence end the call; the message is as long as the speech."""

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=5) + silence(20))
        await settle()
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        ((_, content, octets),) = await exchange.inbox(account)
        assert content.duration_seconds == 5
        assert duration(decode_mp3(audio_of(octets))) == pytest.approx(5, abs=0.25)

    story(tell)


@pytest.mark.parametrize("said", [b"", silence(3), say(seconds=0.6)[:8000]])
def test_less_than_a_second_of_sound_is_a_missed_call(said):
    """Nothing is stored but a line in the history; the room is given back."""

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        assert await exchange.reserved(account) == worst_case_voice_octets(120)
        exchange.speak(application, said)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert await exchange.inbox(account) == []
        assert await exchange.history(account) == [("missed-voice", CALLER, 0)]
        assert await exchange.reserved(account) == 0
        assert not exchange.house.spool.entries

    story(tell)


def test_a_caller_who_does_not_wait_for_the_answer_is_a_missed_call():
    """CANCEL while room is reserved: not answered, noted, the room is given back."""

    async def tell(exchange, account):
        call = FakeCall.to(account, NUMBER)
        application = exchange.voicemail.application(call)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert not call.answered
        assert await exchange.history(account) == [("missed-voice", CALLER, 0)]
        assert await exchange.reserved(account) == 0

    story(tell)


def test_a_full_mailbox_is_said_before_the_beep():
    """No room for the longest message: the caller hears so, nothing is recorded."""

    async def tell(exchange, account):
        await exchange.house.delivery.reserve(account.id, 104_500_000, seconds=600)
        call, application = await exchange.ring(account)
        assert call.played == [PROMPTS.spoken(MAILBOX_FULL)]
        application.playback_finished()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert await exchange.history(account) == [("refused", CALLER, 0)]
        assert not exchange.house.spool.entries

    story(tell)


def test_storage_that_is_gone_at_the_start_is_apologised_for():
    """The database does not answer: an apology, no silence and no lost promise."""

    async def tell(exchange, account):
        exchange.house.store.unavailable = True
        call, application = await exchange.ring(account)
        assert call.played == [PROMPTS.spoken(dialogue.APOLOGY)]
        application.playback_finished()
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert call.hung_up == 1

    story(tell)


def test_a_spool_that_cannot_be_opened_is_apologised_for():
    """A full disk when the call is answered: an apology, hang-up, a missed call."""

    async def tell(exchange, account):
        exchange.house.spool.unavailable = True
        call, application = await exchange.ring(account)
        assert call.played[-1] == PROMPTS.spoken(dialogue.APOLOGY)
        application.playback_finished()
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert call.hung_up == 1
        assert await exchange.history(account) == [("missed-voice", CALLER, 0)]
        assert await exchange.reserved(account) == 0

    story(tell)


def test_a_disk_that_fills_up_during_the_call_keeps_what_was_written():
    """Sorry is said; what was on disk is delivered when there is room again."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=6))
        await settle()
        exchange.house.spool.unavailable = True
        exchange.speak(application, say(seconds=2))
        assert call.played[-1] == PROMPTS.spoken(dialogue.APOLOGY)
        application.playback_finished()
        assert call.hung_up == 1
        exchange.house.store.unavailable = True
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        exchange.house.store.unavailable = exchange.house.spool.unavailable = False
        exchange.house.clock.advance(1)
        assert await exchange.voicemail.retry_pending() == 0
        ((_, content, _),) = await exchange.inbox(account)
        assert content.duration_seconds == 6

    story(tell)


def test_a_disk_that_fills_up_at_the_seal_is_never_called_saved():
    """The last sync fails: an apology instead of "message saved"."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=3.5))
        exchange.house.spool.unavailable = True
        application.digit("#")
        await settle()
        assert call.played[-1] == PROMPTS.spoken(dialogue.APOLOGY)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()

    story(tell)


def test_a_database_that_goes_away_after_the_beep_costs_nothing():
    """Delivery fails: the recording waits in the spool, is tried again, and arrives once."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=4))
        exchange.house.store.unavailable = True
        application.digit("#")
        await settle()
        assert call.played[-1] == PROMPTS.spoken(dialogue.MESSAGE_SAVED)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert exchange.voicemail.deposits.waiting == 1
        assert await exchange.voicemail.retry_pending() == 1
        exchange.house.clock.advance(1)
        assert await exchange.voicemail.retry_pending() == 1
        exchange.house.store.unavailable = False
        exchange.house.clock.advance(1)
        assert await exchange.voicemail.retry_pending() == 1, "the second pause is longer"
        exchange.house.clock.advance(1)
        assert await exchange.voicemail.retry_pending() == 0
        assert len(await exchange.inbox(account)) == 1
        assert await exchange.history(account) == [("voice", CALLER, 4)]
        assert await exchange.reserved(account) == 0

    story(tell)


def test_audio_that_comes_before_the_spool_is_open_is_kept():
    """A slow disk: the first seconds wait in memory and are written in order."""
    spoken = say(seconds=3)

    async def tell(exchange, account):
        gate = asyncio.Event()
        opened = exchange.house.spool.open

        async def slowly(facts):
            await gate.wait()
            return await opened(facts)

        exchange.house.spool.open = slowly
        _, application = await exchange.to_recording(account)
        exchange.speak(application, spoken)
        application.ended(EndReason.CALLER)
        await settle()
        gate.set()
        await exchange.voicemail.drain()
        ((_, _, octets),) = await exchange.inbox(account)
        assert correlates(decode_mp3(audio_of(octets)), spoken) > 0.95

    story(tell)


def test_the_recording_is_synced_every_five_seconds():
    """A power cut takes at most five seconds of a call."""

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        (entry,) = exchange.house.spool.entries.values()
        for second in range(1, 13):
            exchange.speak(application, say(seconds=1))
            await settle()
            assert entry.synced == second // 5
        application.ended(EndReason.CALLER)

    story(tell)


def test_two_calls_to_one_box_at_once_both_work():
    """Each has its own recording, its own room, its own message."""
    first, second = say(seconds=5), say("Another caller speaks about something else.", seconds=4)

    async def tell(exchange, account):
        _, one = await exchange.to_recording(account)
        _, two = await exchange.to_recording(account)
        assert await exchange.reserved(account) == 2 * worst_case_voice_octets(120)
        exchange.speak(one, first[:40000])
        exchange.speak(two, second)
        exchange.speak(one, first[40000:])
        two.ended(EndReason.CALLER)
        one.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        heard = [decode_mp3(audio_of(octets)) for _, _, octets in await exchange.inbox(account)]
        heard.sort(key=len)
        assert correlates(heard[0], second) > 0.95
        assert correlates(heard[1], first) > 0.95

    story(tell)


@pytest.mark.parametrize(
    ("reason", "kinds"), [(EndReason.CALLER, ["missed-voice"]), (EndReason.ELSEWHERE, [])]
)
def test_a_call_that_another_telephone_took_was_not_missed(reason, kinds):
    """CANCEL before the answer: a missed call, unless it was completed elsewhere (RFC 3326)."""

    async def tell(exchange, account):
        application = exchange.voicemail.application(FakeCall.to(account, NUMBER))
        application.ended(reason)
        await exchange.voicemail.drain()
        assert [kind for kind, _, _ in await exchange.history(account)] == kinds
        assert await exchange.reserved(account) == 0

    story(tell)


def test_an_account_that_is_suspended_during_the_call_still_gets_its_message():
    """What was promised before the beep is kept."""

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=3))
        await exchange.house.accounts.suspend(account.name)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert len(await exchange.inbox(account)) == 1

    story(tell)


def test_an_account_that_is_purged_during_the_call_gets_nothing():
    """The recording goes with the account."""

    async def tell(exchange, account):
        _, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=3))
        await exchange.house.store.run("t", lambda tx: tx.accounts.delete(account.id))
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert not exchange.house.spool.entries
        assert exchange.voicemail.deposits.waiting == 0

    story(tell)


def test_a_suspended_account_is_announced():
    """Whatever state slips past the router, the caller hears something and nothing is recorded."""

    async def tell(exchange, account):
        suspended = await exchange.house.accounts.suspend(account.name)
        call, application = await exchange.ring(suspended or account)
        assert call.played == [exchange.voicemail.announcement("account-suspended")]
        application.ended(EndReason.CALLER)

    story(tell)


def test_a_machine_without_sounds_takes_messages(tmp_path):
    """No pack installed: the beep and the recording work all the same."""

    async def tell():
        exchange = Exchange(House(), prompts=Prompts(tmp_path))
        account = await exchange.house.add()
        call, application = await exchange.ring(account)
        assert call.played == []
        call.fire_timers()
        assert len(call.played) == 1
        application.playback_finished()
        exchange.speak(application, say(seconds=3))
        application.digit("#")
        await settle()
        call.fire_timers()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert len(await exchange.inbox(account)) == 1

    asyncio.run(tell())


def test_media_that_stops_is_ended_by_the_clock():
    """No RTP after the beep: the timer of the dialogue ends the call."""

    async def tell(exchange, account):
        call, application = await exchange.to_recording(account)
        exchange.speak(application, say(seconds=3))
        exchange.house.clock.advance(10)
        call.fire_timers()
        await settle()
        assert call.played[-1] == PROMPTS.spoken(dialogue.MESSAGE_SAVED)
        assert not call.timers
        application.ended(EndReason.NO_MEDIA)

    story(tell)


def test_every_announcement_is_spoken():
    """Each refusal of a call has words; an unknown one gets the apology."""
    voicemail = Exchange(House()).voicemail
    for name in ("voicemail-off", "account-suspended", "account-closed", "quota-exceeded", "?"):
        assert len(voicemail.announcement(name)) > 16000
    assert voicemail.announcement("?") == PROMPTS.spoken(dialogue.APOLOGY)
