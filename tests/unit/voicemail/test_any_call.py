"""Whatever a caller and the storage do, in whatever order, a call is settled once."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.house import House
from tests.support.speech import say, silence
from tests.support.voicemail_exchange import Exchange, settle
from um.telephony.application import EndReason

SPEECH = say(seconds=2)
STEPS = st.one_of(
    st.sampled_from(["speak", "silence", "long silence", "finished", "timer", "pause", "wait"]),
    st.sampled_from(["spool fails", "store fails", "storage is back"]),
    st.sampled_from("0123456789*#ABCD"),
)


def do(step, exchange, call, application):
    house = exchange.house
    match step:
        case "speak":
            exchange.speak(application, SPEECH)
        case "silence":
            exchange.speak(application, silence(1.5))
        case "long silence":
            exchange.speak(application, silence(9))
        case "finished":
            application.playback_finished()
        case "timer":
            call.fire_timers()
        case "pause":
            house.clock.advance(11)
        case "spool fails":
            house.spool.unavailable = True
        case "store fails":
            house.store.unavailable = True
        case "storage is back":
            house.spool.unavailable = house.store.unavailable = False
        case "wait":
            pass
        case digit:
            application.digit(digit)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=14), st.booleans(), st.sampled_from(EndReason))
def test_every_call_is_settled_once(steps, recording, reason):
    """At most one message; one line of history; no room and no spool entry left over."""

    async def tell():
        exchange = Exchange(House())
        house = exchange.house
        account = await house.add()
        begin = exchange.to_recording if recording else exchange.ring
        call, application = await begin(account)
        for step in steps:
            do(step, exchange, call, application)
            await settle()
        application.ended(reason)
        await exchange.voicemail.drain()
        house.spool.unavailable = house.store.unavailable = False
        house.clock.advance(60)
        assert await exchange.voicemail.retry_pending() == 0
        messages = await exchange.inbox(account)
        history = [kind for kind, _, _ in await exchange.history(account)]
        assert len(messages) <= 1
        # A line is lost only with the whole storage, when there was no entry to remember it.
        assert len(history) == 1 or (not history and "store fails" in steps and not messages)
        assert history.count("voice") == len(messages)
        assert not house.spool.entries
        assert call.hung_up <= 1
        assert exchange.voicemail.failures == 0
        assert not call.timers
        # Room that could not be given back without the storage expires by itself.
        assert await exchange.reserved(account) == 0 or "store fails" in steps

    asyncio.run(tell())
