"""Whatever an owner, a mail program and the storage do, in whatever order: nothing is lost, nobody is called."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.house import NUMBER, PIN, House
from tests.support.retrieval_call import OwnerCall, Prompter
from tests.support.voicemail_exchange import Exchange
from um.core.message import INBOX, SEEN, FlagOperation
from um.mime.build import AudioFormat
from um.service.mailboxes import MailboxService
from um.telephony.application import EndReason
from voicemail.keymaps import MAPS

OTHER = "+15551230002"
MESSAGES = 2
SECOND = b"\x00\x10" * 8000
STEPS = st.one_of(
    st.sampled_from("0123456789*#ABCD"),
    st.sampled_from([f"{PIN}#", "111111#", f"{OTHER[2:]}#", f"{NUMBER[2:]}#", "280519#280519#"]),
    st.sampled_from(["finished", "finished", "speak", "7 s", "301 s"]),
    st.sampled_from(["store fails", "storage is back", "seen elsewhere", "trashed elsewhere"]),
)


async def do(step, call, mailboxes, account):
    house = call.exchange.house
    match step:
        case "finished":
            await call.listen()
        case "speak":
            await call.speak(SECOND)
        case "7 s" | "301 s":
            await call.silence(float(step.split()[0]))
        case "store fails" | "storage is back":
            house.store.unavailable = step == "store fails"
        case "seen elsewhere" | "trashed elsewhere" if not house.store.unavailable:
            view = await mailboxes.open(account.id, INBOX)
            uids = [entry.uid for entry in view.entries][:1]
            if step == "trashed elsewhere":
                await mailboxes.discard(account.id, view.mailbox.id, uids=uids)
            else:
                await mailboxes.change_flags(
                    account.id,
                    view.mailbox.id,
                    uids=uids,
                    operation=FlagOperation.ADD,
                    flags=[SEEN],
                )
        case keys if keys[0] in "0123456789*#ABCD":
            await call.press(keys)


async def stored(house, account):
    """How many messages lie in all folders together."""

    def count_txn(tx):
        folders = tx.mailboxes.of_account(account.id)
        return sum(len(tx.messages.entries(folder.id)) for folder in folders)

    return await house.store.read("t", count_txn)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEPS, max_size=25),
    st.sampled_from(["own", "open", "stranger"]),
    st.sampled_from(sorted(MAPS)),
)
def test_every_call_ends_and_loses_nothing(steps, line, keys):
    """No task fails, no timer is left, no message vanishes, no call is placed, the room is as it was."""

    async def tell():
        wav = AudioFormat.WAV  # decoded without a program of its own
        exchange = Exchange(House(), prompts=Prompter(), keys=MAPS[keys], audio_format=wav)
        house = exchange.house
        account = await house.add()
        await house.add("bob", number=OTHER)
        for _ in range(MESSAGES):
            _, caller = await exchange.to_recording(account)
            exchange.speak(caller, SECOND * 2)
            caller.ended(EndReason.CALLER)
            await exchange.voicemail.drain()
        mailboxes = MailboxService(house.store, house.blobs, house.delivery, house.clock)
        known = None if line == "stranger" else account
        call = await OwnerCall(exchange, known).begin()
        if line == "open":
            await call.press(f"{PIN}#")
        for step in steps:
            await do(step, call, mailboxes, account)
        await call.hang_up()
        await exchange.voicemail.drain()
        house.store.unavailable = False
        assert exchange.voicemail.failures == 0
        assert call.call.hung_up <= 1
        assert not call.call.timers
        assert not call.call.transfers
        assert await stored(house, account) >= MESSAGES  # and notices
        assert await exchange.reserved(account) == 0

    asyncio.run(tell())
