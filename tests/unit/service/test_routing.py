"""Which mailbox takes a call."""

import asyncio

from tests.support.house import NUMBER, House, incoming
from um.core.account import NumberUse
from um.service.routing import CallDoor, CallPlace, CallRefusal, RefusedCall

OTHER = "+15551230002"
VOICE = "+15551230003"


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_call_finds_its_mailbox_or_the_reason_why_not():
    async def story():
        house = House()
        alice = await house.add(quota_octets=1024 * 1024)
        await house.numbers.add("alice", OTHER, use=NumberUse.FAX)
        await house.numbers.add("alice", VOICE, use=NumberUse.VOICE)
        door = CallDoor(house.store, house.clock, house.settings, voice_octets=600_000)
        place = await door.decide(["*98", "nobody", "5551230001"])
        assert isinstance(place, CallPlace)
        assert (place.application, place.account.id) == ("voice", alice.id)
        assert (await door.decide([OTHER])).application == "fax"
        assert (await door.find_number("15551230001"))[0] == alice
        assert (await door.decide(["+15559999999", "x"])).reason is CallRefusal.UNKNOWN
        assert (await door.decide([])).reason is CallRefusal.UNKNOWN

        await house.accounts.set_voicemail("alice", on=False)
        assert (await door.decide([VOICE])).reason is CallRefusal.VOICEMAIL_OFF
        assert (await door.decide([OTHER])).application == "fax"
        assert (await door.decide([NUMBER])).application == "voice"  # for a fax may be heard in it
        await house.accounts.set_voicemail("alice", on=True)

        await house.delivery.deliver(incoming(alice, size_octets=500_000))
        assert (await door.decide([NUMBER])).reason is CallRefusal.FULL
        await house.accounts.set_voicemail("alice", on=False)
        assert (await door.decide([NUMBER])).application == "voice"  # there is room for a page
        await house.accounts.set_voicemail("alice", on=True)
        assert (await door.decide([OTHER])).application == "fax"
        await house.delivery.deliver(incoming(alice, "b", size_octets=500_000))
        assert (await door.decide([OTHER])).reason is CallRefusal.FULL
        await house.accounts.set_voicemail("alice", on=False)
        assert (await door.decide([NUMBER])).reason is CallRefusal.FULL

        await house.accounts.suspend("alice")
        assert (await door.decide([NUMBER])).reason is CallRefusal.SUSPENDED
        await house.accounts.close("alice")
        refused = await door.decide([NUMBER])
        assert (refused.reason, refused.account.id) == (CallRefusal.CLOSED, alice.id)
        await house.purge().run(at=refused.account.purge_at)
        assert (await door.decide([NUMBER])).reason is CallRefusal.UNKNOWN

    run(story())


def test_an_access_code_is_an_owners_call():
    """From a line of ours to its own mailbox, from any other to the login; closed: refused.

    Who only claims that line is not told that it is closed.
    """

    async def story():
        house = House()
        alice = await house.add()
        door = CallDoor(
            house.store, house.clock, house.settings, voice_octets=1, access_codes=["*98"]
        )
        own = await door.decide(["*98"], caller="5551230001")
        assert (own.application, own.account.id) == ("retrieval", alice.id)
        for stranger in ("", "+15559990000", "*98"):
            place = await door.decide(["*98"], caller=stranger)
            assert (place.application, place.number.account_id) == ("login", None)
        await house.accounts.suspend("alice", reason="unpaid")
        assert (await door.decide(["*98"], caller=NUMBER)).application == "retrieval"
        await house.accounts.close("alice")
        told = await door.decide(["*98"], caller=NUMBER, is_vouched_for=True)
        assert told.reason is CallRefusal.OWN_CLOSED
        assert (await door.decide(["*98"], caller=NUMBER)).application == "login"

    run(story())


def test_a_refused_call_is_in_the_history_of_the_account():
    """Whom the mailbox turned away; not an owner, not a call for nobody, and trouble is no error."""

    async def story():
        house = House()
        alice = await house.add()
        door = CallDoor(house.store, house.clock, house.settings, voice_octets=1)
        await house.numbers.add("alice", VOICE, use=NumberUse.VOICE)
        await house.accounts.set_voicemail("alice", on=False)
        off = await door.decide([VOICE])
        await door.note(off, call_id="c1", caller="+15559870001")
        owner = RefusedCall(CallRefusal.OWN_CLOSED, off.account, off.number)
        for refused in (owner, RefusedCall(CallRefusal.UNKNOWN)):
            await door.note(refused, call_id="c2", caller="")
        house.store.unavailable = True
        await door.note(off, call_id="c3", caller="")
        house.store.unavailable = False
        lines = await house.store.read("t", lambda tx: tx.records.calls_of(alice.id))
        assert [(line.kind, line.caller, line.detail) for line in lines] == [
            ("refused", "+15559870001", "voicemail-off")
        ]

    run(story())
