"""A fax machine calls a number for voice and fax: the call is handed over, and nothing is left of it."""

import asyncio
from dataclasses import replace

import pytest

from fax.spandsp import CallingFaxDetector
from tests.support.fake_call import CALLER, FakeCall
from tests.support.house import NUMBER, House
from tests.support.speech import duration, say, silence
from tests.support.telephone_rtp import tone
from tests.support.voicemail_exchange import Exchange, settle
from um.core.account import Number, NumberUse
from um.core.errors import UnavailableError
from um.core.ids import E164
from um.telephony.application import EndReason, HandOver
from voicemail.greeting import OFF

CNG = tone(1100, 0.5) + silence(3)


def story(tell):
    """Run an async test with a house whose voicemail hears fax machines, and one account."""

    async def told():
        exchange = Exchange(House(), fax_tones=CallingFaxDetector)
        account = await exchange.house.add()
        await tell(exchange, account)
        await exchange.voicemail.drain()
        assert exchange.voicemail.failures == 0

    asyncio.run(told())


async def called(exchange, account, *, use=NumberUse.BOTH, recording=False, **changes):
    """A call that is up: in its greeting, or after the beep."""
    call = FakeCall(account, Number(E164(NUMBER), account.id, use), **changes)
    application = exchange.voicemail.application(call)
    await settle()
    application.answered()
    await settle()
    for _ in range(2 if recording else 0):
        application.playback_finished()
    return call, application


async def handed_over(call):
    """Whether the call asks for the fax by now."""
    await settle()
    try:
        call.fire_timers()
    except HandOver as decision:
        return decision.application == "fax"
    return False


@pytest.mark.parametrize("recording", [False, True])
def test_a_calling_tone_hands_the_call_over(recording):
    """In the greeting or in the recording: hushed at once; spool, room, message, history: nothing."""

    async def tell(exchange, account):
        call, application = await called(exchange, account, recording=recording)
        exchange.speak(application, silence(1) + CNG[:8000])
        assert call.stopped
        assert await handed_over(call)
        assert await exchange.reserved(account) == 0  # before the fax asks for its own
        assert not exchange.house.spool.entries
        assert await exchange.inbox(account) == []
        assert await exchange.history(account) == []
        assert not call.hung_up

    story(tell)


def test_the_room_is_free_before_the_fax_asks():
    """A storage that is slow to give it back delays the hand-over, not the other way about."""

    async def tell(exchange, account):
        gate = asyncio.Event()
        release = exchange.house.delivery.release

        async def slowly(reservation):
            await gate.wait()
            await release(reservation)

        exchange.house.delivery.release = slowly
        call, application = await called(exchange, account, recording=True)
        exchange.speak(application, CNG)
        assert not await handed_over(call)
        gate.set()
        assert await handed_over(call)

    story(tell)


def test_a_storage_in_trouble_does_not_keep_the_fax_from_its_call():
    """The reservation expires by itself; the fax says what it thinks of the storage."""

    async def tell(exchange, account):
        call, application = await called(exchange, account)

        async def gone(_reservation):
            raise UnavailableError

        exchange.house.delivery.release = gone
        exchange.speak(application, CNG)
        assert await handed_over(call)

    story(tell)


def test_what_is_heard_after_the_tone_disturbs_nothing():
    """More tone, keys and the end of a prompt that was cut off, until the fax has the call."""

    async def tell(exchange, account):
        call, application = await called(exchange, account)
        exchange.speak(application, CNG[:8000] + CNG + CNG)
        application.digit("#")
        application.playback_finished()
        assert len(call.played) == 1  # the greeting
        assert await handed_over(call)
        assert call.timers == []

    story(tell)


def test_a_machine_that_gives_up_at_once_is_a_missed_call():
    """It hung up between its tone and the hand-over."""

    async def tell(exchange, account):
        call, application = await called(exchange, account)
        exchange.speak(application, CNG)
        application.ended(EndReason.CALLER)
        assert not await handed_over(call)
        await exchange.voicemail.drain()
        assert await exchange.history(account) == [("missed-voice", CALLER, 0)]
        assert await exchange.reserved(account) == 0
        assert not exchange.house.spool.entries

    story(tell)


@pytest.mark.parametrize(
    "changes", [{"use": NumberUse.VOICE}, {"waveform": False}], ids=["voice number", "G.729"]
)
def test_where_no_fax_can_be_taken_nothing_is_handed_over(changes):
    """A number for voice alone, and a codec that no modem survives: tones are a message like any."""

    async def tell(exchange, account):
        call, application = await called(exchange, account, recording=True, **changes)
        exchange.speak(application, CNG + CNG)
        assert not await handed_over(call)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert [line[0] for line in await exchange.history(account)] == ["voice"]

    story(tell)


def test_a_voice_message_on_a_number_for_both_is_unharmed():
    """Every word arrives."""
    spoken = say(seconds=8)

    async def tell(exchange, account):
        call, application = await called(exchange, account, recording=True)
        exchange.speak(application, spoken)
        assert not await handed_over(call)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert await exchange.history(account) == [("voice", CALLER, round(duration(spoken)))]

    story(tell)


def test_a_caller_whose_message_is_being_saved_keeps_it():
    """A tone after `#` changes nothing: the message was acknowledged."""

    async def tell(exchange, account):
        call, application = await called(exchange, account, recording=True)
        exchange.speak(application, say(seconds=3))
        application.digit("#")
        exchange.speak(application, CNG)
        assert not await handed_over(call)
        application.ended(EndReason.CALLER)
        await exchange.voicemail.drain()
        assert len(await exchange.inbox(account)) == 1

    story(tell)


async def switched_off(exchange, account, **changes):
    """A call to an account without voicemail that is up."""
    return await called(exchange, replace(account, voicemail_enabled=False), **changes)


def test_where_voicemail_is_off_a_fax_is_still_taken():
    """By its tone in the announcement, or by the core's T.38; it costs no room and leaves no call."""

    async def tell(exchange, account):
        call, application = await switched_off(exchange, account)
        exchange.speak(application, silence(1) + CNG[:8000])
        assert await handed_over(call)
        call, _ = await switched_off(exchange, account)
        assert call.make_way()
        assert await handed_over(call)
        assert await exchange.reserved(account) == 0
        assert await exchange.history(account) == []

    story(tell)


@pytest.mark.parametrize("use", [NumberUse.BOTH, NumberUse.VOICE])
def test_where_voicemail_is_off_nothing_of_what_people_say_is_kept(use):
    """They hear that nobody is available, never a beep; the history says why."""

    async def tell(exchange, account):
        call, application = await switched_off(exchange, account, use=use)
        assert call.played == [exchange.voicemail.announcement(OFF)]
        exchange.speak(application, say(seconds=3))
        assert not exchange.house.spool.entries
        assert await exchange.reserved(account) == 0
        application.playback_finished()
        assert call.hung_up
        assert not await handed_over(call)
        application.ended(EndReason.APPLICATION)
        await exchange.voicemail.drain()
        assert await exchange.inbox(account) == []
        (line,) = await exchange.house.store.read(
            "calls", lambda tx: tx.records.calls_of(account.id)
        )
        assert (line.kind, line.detail) == ("refused", OFF)

    story(tell)


def test_a_core_that_offers_t38_gets_its_fax():
    """It heard the machine before we did; once a message is being saved it is too late."""

    async def tell(exchange, account):
        call, _ = await called(exchange, account, recording=True)
        assert call.make_way()
        assert await handed_over(call)
        assert not exchange.house.spool.entries
        assert await exchange.inbox(account) == []
        assert await exchange.history(account) == []
        assert not call.make_way()
        call, _ = await called(exchange, account, use=NumberUse.VOICE)
        assert call.make_way is None

    story(tell)
