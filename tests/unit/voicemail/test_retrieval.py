"""Owners' calls from the first word to the goodbye, over the memory stores."""

import asyncio
import contextlib

from tests.support.house import NUMBER, PIN, House, incoming
from tests.support.retrieval_call import OwnerCall, Prompter
from tests.support.speech import correlates, decode_mp3, say
from tests.support.voicemail_exchange import Exchange, audio_of
from um.core.account import GreetingKind
from um.core.errors import AuthenticationError
from um.core.message import SEEN, FlagOperation, MessageKind
from um.policy.quota import Room
from um.service.views import Views
from um.telephony.application import EndReason
from voicemail import preferences, spoken

MIB = 1024 * 1024
PROMISED = Room.PROMISED
BOTH = ("INBOX", "Voicemail")


def story(tell, **account):
    """Run an async test with a house and one account."""

    async def told():
        exchange = Exchange(House(), prompts=Prompter())
        await tell(exchange, await exchange.house.add(**account))
        await exchange.voicemail.drain()
        assert exchange.voicemail.failures == 0

    asyncio.run(told())


async def leave_message(exchange, account, seconds=3, text=None):
    _, application = await exchange.to_recording(account)
    spoken = say(text, seconds=seconds) if text else say(seconds=seconds)
    exchange.speak(application, spoken)
    application.ended(EndReason.CALLER)
    await exchange.voicemail.drain()
    exchange.house.clock.advance(60)
    return spoken


async def without_pin(exchange, account):
    def no_pin_txn(tx):
        from dataclasses import replace

        tx.accounts.save(replace(tx.accounts.get(account.id), pin_hash=None))

    await exchange.house.store.run("t", no_pin_txn)


async def entries(exchange, account, name="INBOX"):
    def read(tx):
        return tx.messages.entries(tx.mailboxes.by_name(account.id, name).id)

    return await exchange.house.store.read("t", read)


async def logged_in(exchange, account):
    call = await OwnerCall(exchange, account).begin()
    await call.press(f"{PIN}#")
    return call


def test_the_own_line_is_asked_its_pin_and_told_how_much_there_is():
    """PIN, then "you have 2 new messages", then the menu."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        await leave_message(exchange, account)
        call = await OwnerCall(exchange, account).begin()
        assert call.said == ["vm-password"]
        said = await call.press(f"{PIN}#")
        assert said == ["vm-youhave", "digits/2", "vm-INBOX", "vm-messages"]
        await call.listen()
        said = await call.listen()
        assert said == ["vm-onefor", "vm-INBOX", "vm-messages", "vm-opts", "vm-helpexit"]
        assert await call.press("#") == ["vm-goodbye"]
        await call.listen()
        assert call.call.hung_up == 1

    story(tell)


def test_hearing_a_message_makes_it_seen_and_deleting_moves_it_to_trash():
    """What is heard, deleted and restored by phone is so in the mailbox at once."""

    async def tell(exchange, account):
        spoken = await leave_message(exchange, account)
        call = await logged_in(exchange, account)
        said = await call.press("1")
        assert said[:3] == ["vm-first", "vm-message", "vm-received"]
        assert "vm-from-phonenumber" in said
        await call.listen()
        assert correlates(call.call.played[-1], spoken) > 0.9
        ((entry),) = await entries(exchange, account)
        assert SEEN in entry.flags
        assert await call.press("7") == ["vm-deleted"]
        assert await entries(exchange, account) == []
        (trashed,) = await entries(exchange, account, "Trash")
        assert trashed.trashed_at is not None
        assert await call.press("7") == ["vm-undeleted"]
        (back,) = await entries(exchange, account)
        assert back.trashed_at is None
        assert SEEN in back.flags

    story(tell)


def test_the_first_call_from_the_own_line_sets_the_mailbox_up():
    """Welcome, PIN twice, name, greeting; the next call asks the PIN; callers hear the greeting."""

    async def tell(exchange, account):
        await without_pin(exchange, account)
        call = await OwnerCall(exchange, account).begin()
        assert await call.listen() == ["um-welcome"]
        assert call.said == ["vm-newpassword"]
        assert await call.press("123456#") == ["vm-invalid-password", "vm-pls-try-again"]
        await call.listen()
        assert await call.press("280519#") == ["vm-reenterpassword"]
        assert await call.press("280510#") == ["vm-mismatch"]
        await call.listen()
        await call.press("280519#")
        assert await call.press("280519#") == ["vm-passchanged"]
        await call.listen()
        assert await call.listen() == ["vm-rec-name"]
        assert await call.listen() == ["beep"]
        await call.speak(say("Anna Bell"))
        assert await call.press("#") == ["vm-review", "vm-tocancelmsg"]
        assert await call.press("1") == ["vm-msgsaved"]
        await call.listen()
        assert await call.listen() == ["vm-rec-unv"]
        await call.listen()
        greeting = say("This is Anna, please leave a message.")
        await call.speak(greeting)
        await call.press("#")
        await call.press("2")
        assert correlates(call.call.played[-1], greeting) > 0.9
        await call.listen()
        await call.press("1")
        await call.listen()
        assert call.said == ["vm-youhave", "vm-no", "vm-messages"]
        await call.hang_up()
        assert await exchange.house.greetings.kinds(account.id) == {
            GreetingKind.NAME,
            GreetingKind.UNAVAILABLE,
        }
        again = await OwnerCall(exchange, account).begin()
        assert again.said == ["vm-password"]

    story(tell)


def test_a_mailbox_without_pin_opens_from_nowhere_else():
    """Any other line is asked mailbox and PIN, and no PIN fits."""

    async def tell(exchange, account):
        await without_pin(exchange, account)
        call = await OwnerCall(exchange, caller="+15559990000").begin()
        for _ in range(3):
            assert call.said == ["um-mailbox"]
            assert await call.press(f"{NUMBER[1:]}#") == ["vm-password"]
            assert await call.press("000000#") == ["vm-incorrect"]
            await call.listen()
        assert call.said == ["vm-goodbye"]

    story(tell)


def test_an_own_line_that_nobody_vouches_for_is_only_a_guess():
    """Its mailbox is filled in, but the PIN is asked, and without a PIN nothing opens or is set."""

    async def tell(exchange, account):
        await exchange.house.store.run(
            "t", lambda tx: tx.accounts.set_preference(account.id, preferences.SKIP_PIN, "yes")
        )
        call = await OwnerCall(exchange, account, vouched=False).begin()
        assert call.said == ["vm-password"]
        assert await call.press(f"{PIN}#") == ["vm-youhave", "vm-no", "vm-messages"]
        await without_pin(exchange, account)
        call = await OwnerCall(exchange, account, vouched=False).begin()
        for _ in range(3):
            assert call.said == ["vm-password"]
            assert await call.press(f"{PIN}#") == ["vm-incorrect"]
            await call.listen()
        assert call.said == ["vm-goodbye"]

    story(tell)


def test_another_line_opens_by_mailbox_and_pin():
    """From any telephone: the number in any spelling, then the PIN."""

    async def tell(exchange, account):
        call = await OwnerCall(exchange, caller="").begin()
        assert await call.press("5551230001#") == ["vm-password"]
        assert await call.press(f"{PIN}#") == ["vm-youhave", "vm-no", "vm-messages"]

    story(tell)


def test_ten_wrong_pins_lock_the_mailbox_and_tell_its_owner():
    """Over several calls; then even the right PIN is refused, and a notice lies in the inbox."""

    async def tell(exchange, account):
        for _ in range(4):
            call = await OwnerCall(exchange, account).begin()
            for _ in range(3):
                if call.said[-1] == "vm-password":
                    await call.press("111111#")
                    await call.listen()
            await call.hang_up()
        call = await OwnerCall(exchange, account).begin()
        assert await call.press(f"{PIN}#") == ["um-locked"]
        await call.listen()
        assert call.said == ["vm-goodbye"]
        kinds = [entry.kind for entry in await entries(exchange, account)]
        assert kinds == [MessageKind.NOTICE]

    story(tell)


def test_a_message_that_a_mail_program_read_is_no_longer_new():
    r"""The other way round: \Seen by IMAP moves it to the old ones, at the next key."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        (entry,) = await entries(exchange, account)
        await exchange.voicemail.mailboxes.change_flags(
            account.id,
            entry.mailbox_id,
            uids=[entry.uid],
            operation=FlagOperation.ADD,
            flags=[SEEN],
        )
        call = await OwnerCall(exchange, account).begin()
        said = await call.press(f"{PIN}#")
        assert said == ["vm-youhave", "digits/1", "vm-Old", "vm-message"]

    story(tell)


async def after_intro(exchange, account):
    call = await logged_in(exchange, account)
    await call.listen()
    return call


def test_new_messages_come_first_then_the_saved_ones():
    """6 goes on from the last new message to the old ones, and says when there is no more."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        call = await after_intro(exchange, account)
        await call.press("11")
        await call.hang_up()
        await leave_message(exchange, account)
        call = await after_intro(exchange, account)
        assert (await call.press("1"))[:2] == ["vm-first", "vm-message"]
        await call.listen()
        await call.listen()
        assert "vm-delete" in call.said
        assert (await call.press("6"))[:2] == ["vm-Old", "vm-messages"]
        assert (await call.listen())[:2] == ["vm-Old", "vm-messages"]
        assert call.said[:2] == ["vm-first", "vm-message"]
        await call.listen()
        assert (await call.press("6"))[-1] == "vm-nomore"
        assert (await call.press("4")) == ["vm-nomore"]

    story(tell)


def test_saving_makes_the_folder_and_folders_are_listened_to():
    """9 and a folder; 2 and the same folder; as new (0) it is unseen again."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        call = await after_intro(exchange, account)
        await call.press("11")
        assert (await call.press("9"))[:3] == ["vm-savefolder", "vm-press", "digits/0"]
        said = await call.press("2")
        assert said == ["vm-message", "digits/1", "vm-savedto", "vm-Work", "vm-messages"]
        assert len(await entries(exchange, account, "Work")) == 1
        await call.press("2")
        assert await call.press("2") == ["vm-youhave", "digits/1", "vm-Work", "vm-message"]
        await call.press("11")
        await call.press("90")
        (entry,) = await entries(exchange, account)
        assert SEEN not in entry.flags

    story(tell)


def test_forwarding_with_an_introduction():
    """The other mailbox gets one recording: the introduction, then the message."""

    async def tell(exchange, account):
        other = await exchange.house.add("bob", "+15551230002")
        spoken = await leave_message(exchange, account)
        call = await after_intro(exchange, account)
        await call.press("11")
        assert await call.press("8") == ["um-mailbox"]
        assert await call.press("5559999999#") == ["pbx-invalid"]
        assert await call.press("5551230002#") == ["vm-forwardoptions"]
        await call.press("2")
        assert call.said == ["vm-msgforwarded"]
        await call.press("8")
        await call.press("5551230002#")
        assert await call.press("1") == ["vm-record-prepend"]
        await call.listen()
        await call.listen()
        introduction = say("Please look into this for me, would you.")
        await call.speak(introduction)
        await call.press("#")
        assert await call.press("1") == ["vm-msgforwarded"]
        plain, introduced = await exchange.inbox(other)
        assert correlates(decode_mp3(audio_of(plain[2])), spoken) > 0.9
        heard = decode_mp3(audio_of(introduced[2]))
        assert correlates(heard[: len(introduction)], introduction) > 0.9
        assert correlates(heard[-len(spoken) :], spoken) > 0.9
        assert introduced[1].duration_seconds > plain[1].duration_seconds
        assert b"forwarded by" in plain[2]

    story(tell)


def test_a_suspended_account_listens_and_changes_nothing():
    """Read only, with the reason; nothing becomes seen, deleted or recorded."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        await exchange.house.accounts.suspend("alice", reason="unpaid")
        call = await OwnerCall(exchange, account).begin()
        await call.press(f"{PIN}#")
        notice = b"<um-account-suspended>"
        assert call.call.played[-1].startswith(notice)
        assert len(call.call.played[-1]) > len(notice) + 4000  # the reason, spoken
        await call.listen()
        await call.press("11")
        for key in ("7", "9", "8", "0"):
            assert await call.press(key) == ["um-account-suspended"]
        (entry,) = await entries(exchange, account)
        assert SEEN not in entry.flags

    story(tell)


def test_a_closed_account_is_told_so_after_the_right_pin():
    """From another line: refused."""

    async def tell(exchange, account):
        await exchange.house.accounts.close("alice")
        call = await OwnerCall(exchange, caller="").begin()
        await call.press(f"{NUMBER[1:]}#")
        assert await call.press(f"{PIN}#") == ["um-account-closed"]

    story(tell)


def test_options_record_erase_and_set_the_pin():
    """0: greetings by kind, the temporary one erased again, a new PIN."""

    async def tell(exchange, account):
        call = await after_intro(exchange, account)
        assert await call.press("0") == ["vm-options"]
        assert await call.press("4") == ["vm-rec-temp"]
        await call.listen()
        await call.listen()
        await call.speak(say("I am away until Monday, the third of May."))
        await call.press("#1")
        assert await exchange.house.greetings.kinds(account.id) == {GreetingKind.TEMPORARY}
        assert (await call.listen())[-1] == "vm-msgsaved"
        assert call.said == ["vm-tmpexists", "vm-options"]
        assert (await call.press("42"))[-1] == "vm-tempremoved"
        assert await exchange.house.greetings.kinds(account.id) == set()
        await call.listen()
        assert await call.press("5") == ["vm-newpassword"]
        assert (await call.press("736251#736251#"))[-1] == "vm-passchanged"
        await exchange.house.authenticator.verify_pin(account.id, "736251")

    story(tell)


def test_the_owner_may_switch_the_pin_off_for_the_own_line():
    """Only there: any other line is asked."""

    async def tell(exchange, account):
        await exchange.house.store.run(
            "t", lambda tx: tx.accounts.set_preference(account.id, preferences.SKIP_PIN, "yes")
        )
        call = await OwnerCall(exchange, account).begin()
        assert call.said == ["vm-youhave", "vm-no", "vm-messages"]
        assert (await OwnerCall(exchange, caller="").begin()).said == ["um-mailbox"]

    story(tell)


def test_faxes_and_invoices_are_counted_aloud():
    """Those that nobody has seen yet."""

    async def tell(exchange, account):
        for key, kind in (
            ("1", MessageKind.FAX),
            ("2", MessageKind.FAX),
            ("3", MessageKind.INVOICE),
        ):
            await exchange.house.delivery.deliver(incoming(account, key, kind=kind))
        call = await OwnerCall(exchange, account).begin()
        said = await call.press(f"{PIN}#")
        assert said[3:] == [
            "vm-youhave",
            "digits/2",
            "um-faxes",
            "vm-and",
            "digits/1",
            "um-invoice",
        ]

    story(tell)


def test_a_mailbox_that_fills_up_is_told_aloud():
    """From 80 % on, after the counts; below it nothing is said."""

    async def tell(exchange, account):
        for number, said_percent in ((78, 0), (3, 81), (30, 100)):
            size = MIB * number // 100 + 1
            await exchange.house.delivery.deliver(
                incoming(
                    account, f"f{number}", size_octets=size, kind=MessageKind.MAIL, room=PROMISED
                )
            )
            call = await OwnerCall(exchange, account).begin()
            said = await call.press(f"{PIN}#")
            tail = ["um-mailbox-is", *spoken.number(said_percent, "en"), "um-percent-full"]
            assert said == ["vm-youhave", "vm-no", "vm-messages", *(tail if said_percent else [])]

    story(tell, quota_octets=MIB)


def test_guesses_at_the_same_moment_lock_and_tell_once():
    """Three lines guess together as the lock falls: one notice."""

    async def tell(exchange, account):
        for _ in range(9):
            with contextlib.suppress(AuthenticationError):
                await exchange.house.authenticator.verify_pin(account.id, "111111")
        calls = [await OwnerCall(exchange, account).begin() for _ in range(3)]
        for call in calls:
            for key in "111111#":
                call.application.digit(key)
        for call in calls:
            await call.settle()
        assert [each.kind for each in await entries(exchange, account)] == [MessageKind.NOTICE]

    story(tell)


def test_a_folder_of_their_own_changes_nothing_by_phone():
    """Old ones in INBOX, new ones in their folder: one list; nothing is moved by hearing or saving."""

    async def tell(exchange, account):
        house = exchange.house
        await leave_message(exchange, account)
        views = Views(house.store, house.clock, house.settings)
        await views.choose("alice", MessageKind.VOICE, None)
        await leave_message(exchange, account)
        call = await OwnerCall(exchange, account).begin()
        said = await call.press(f"{PIN}#")
        assert said[:3] == ["vm-youhave", "digits/2", "vm-INBOX"]
        await call.press("1")
        await call.listen()
        assert [len(await entries(exchange, account, name)) for name in BOTH] == [1, 1]
        ((first,),) = [await entries(exchange, account)]
        assert SEEN in first.flags
        assert await call.press("6") != []
        await call.listen()
        ((second,),) = [await entries(exchange, account, "Voicemail")]
        assert SEEN in second.flags
        assert "Voicemail" in second.flags
        await call.press("90")
        assert [len(await entries(exchange, account, name)) for name in BOTH] == [1, 1]
        await call.press("7")
        assert [len(await entries(exchange, account, name)) for name in BOTH] == [1, 0]
        await call.press("7")
        assert [len(await entries(exchange, account, name)) for name in BOTH] == [1, 1]

    story(tell)


def test_a_message_without_sound_does_not_trap_its_owner():
    """It is skipped: the menu comes, and the message can be deleted."""

    async def tell(exchange, account):
        await exchange.house.delivery.deliver(incoming(account, "x"))
        call = await after_intro(exchange, account)
        await call.press("1")
        await call.listen()
        assert "vm-delete" in call.said
        assert await call.press("7") == ["vm-deleted"]

    story(tell)


def test_a_message_that_a_mail_program_expunged_is_gone_by_phone():
    """Deleting it then says so, and the call goes on."""

    async def tell(exchange, account):
        await leave_message(exchange, account)
        call = await after_intro(exchange, account)
        await call.press("11")
        (entry,) = await entries(exchange, account)
        await exchange.house.store.run(
            "t", lambda tx: tx.messages.expunge(entry.mailbox_id, [entry.uid])
        )
        assert await call.press("7") == ["vm-message", "vm-deleted"]
        await call.listen()
        assert "vm-helpexit" in call.said
        assert await call.press("1") == ["vm-youhave", "vm-no", "vm-messages"]

    story(tell)
