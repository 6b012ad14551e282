"""Copies of messages: what leaves, how it is tried, and what becomes of the message."""

import asyncio
import shutil
from datetime import timedelta

import pytest

from storage import migrate
from storage.database import open_store
from tests.support.forwarding import (
    DEFERRED,
    FORWARD_FROM,
    PUBLIC_URL,
    REFUSED,
    TARGET,
    ForwardHouse,
    report,
)
from tests.support.house import DOMAIN, mail
from um.core.errors import (
    AccountClosedError,
    AlreadyExistsError,
    InvalidError,
    LockedOutError,
    NotFoundError,
    ReadOnlyError,
)
from um.core.forwarding import (
    AddressState,
    AfterCopy,
    CopyMode,
    CopyRule,
    OutboxState,
)
from um.core.message import SEEN, FlagOperation, MessageKind
from um.core.steps import OUTBOX_STEPS
from um.policy.forwarding import GIVE_UP_AFTER, HARD_BOUNCES, MAX_CONFIRMATIONS
from um.service.forward.sender import AT_ONCE

INVOICE = (
    b"Received: from billing\r\nFrom: Billing <billing@example.net>\r\nTo: alice@um.example.net\r\n"
    b"Subject: Invoice 7\r\nMessage-ID: <7@example.net>\r\nAuto-Submitted: auto-generated\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nPlease pay.\r\n"
    b"--b\r\nContent-Type: application/pdf; name=i.pdf\r\nContent-Disposition: attachment; filename=i.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n"
)


STORE: dict[str, object] = {}
"""How the house of a story opens its store."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("empty") / "um.db"
    migrate.upgrade(path)
    return path


@pytest.fixture(params=["memory", "sqlite"], autouse=True)
def each_store(request, tmp_path, empty):
    """Every story is true on both: on SQLite transactions really run beside each other."""
    STORE.clear()
    if request.param == "sqlite":
        path = tmp_path / "um.db"
        shutil.copy(empty, path)
        STORE["store_of"] = lambda house: open_store(
            path, publish=house.bus.publish, clock=house.clock
        )


def run(story, **options):
    """Let a story happen in a house of its own."""

    async def main():
        house = ForwardHouse(**options, **STORE)
        try:
            await story(house, await house.add(full_name="Alice Adams"))
        finally:
            await house.store.close()

    asyncio.run(main())


def test_a_voice_message_is_attached():
    """The recording goes octet for octet, in words of ours, from the operator's own domain."""

    async def story(house, alice):
        await house.confirmed(alice)
        delivered = await house.voice(alice, audio=b"ID3" + bytes(range(256)))
        assert delivered.outbox_rows == 1
        await house.sender.tick()
        (sent,), (row,) = house.relay.sent, await house.rows(alice)
        assert (sent.recipient, sent.sender) == (TARGET, f"bounce+{row.id}@{DOMAIN}")
        message = house.relay.message()
        assert message["From"] == f'"Bob, +1 555 123 4567 via {DOMAIN}" <{FORWARD_FROM}>'
        assert message["To"] == TARGET
        assert message["Subject"] == "Voice message from Bob, +1 555 123 4567 (0:42)"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Delivered-To"] == f"alice@{DOMAIN}"
        assert message["Message-ID"] == f"<copy.{row.id}@{DOMAIN}>"
        assert message["Date"]
        assert message["Reply-To"] is None
        (part,) = list(message.iter_attachments())
        assert part.get_content() == b"ID3" + bytes(range(256))
        assert part.get_content_type() == "audio/mpeg"
        assert "Alice Adams" in message.get_body(("plain",)).get_content()
        assert "<td>Bob, +1 555 123 4567</td>" in message.get_body(("html",)).get_content()
        assert row.state is OutboxState.DONE

    run(story)


def test_an_invoice_is_attached_whole():
    """All of its parts go, with the trace that counts its hops; auto-generated is no reply."""

    async def story(house, alice):
        await house.confirmed(alice, kind=MessageKind.INVOICE)
        await house.deliver(alice, INVOICE, MessageKind.INVOICE, "i")
        await house.sender.tick()
        message = house.relay.message()
        assert message["Subject"] == "Invoice from Billing: Invoice 7"
        assert message["Received"] == "from billing"
        assert [part.get_content_type() for part in message.walk()] == [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "text/html",
            "text/plain",
            "application/pdf",
        ]
        assert b"JVBERi0=" in house.relay.sent[0].data

    run(story)


@pytest.mark.parametrize("language", ["en", "fr", "es", "de"])
@pytest.mark.parametrize("mode", [CopyMode.NOTIFY, CopyMode.LINK, CopyMode.ATTACH])
def test_each_mode_in_each_language(mode, language):
    """A notice says that it came, a link can be opened, a copy has it; another language is English."""

    async def story(house, _):
        owner = await house.add("owner", "+15551230009", language=language)
        await house.confirmed(owner, kind=MessageKind.FAX, mode=mode)
        await house.fax(owner, pdf=b"%PDF-pages")
        await house.sender.tick()
        message = house.relay.message()
        assert len(list(message.iter_attachments())) == (mode is CopyMode.ATTACH)
        text = message.get_body(("plain",)).get_content()
        start = {"fr": "Bonjour owner,", "es": "Hola owner:"}.get(language, "Hello owner,")
        assert text.startswith(start)
        links = [word for word in text.split() if word.startswith(PUBLIC_URL)]
        assert len(links) == (mode is CopyMode.LINK)
        for link in links:
            assert link in message.get_body(("html",)).get_content()
            found = await house.links.open(*link.rsplit("/", 4)[1:])
            assert (found.data, found.media_type) == (b"%PDF-pages", "application/pdf")
            assert found.filename.endswith("-2p.pdf")

    run(story)


def test_what_is_too_large_becomes_a_link():
    """More than 20 MB in base64 is not attached; the link leads to it."""

    async def story(house, alice):
        await house.confirmed(alice, kind=MessageKind.FAX)
        pdf = b"%PDF" + bytes(16 * 1024 * 1024)
        await house.fax(alice, pdf=pdf)
        await house.sender.tick()
        message = house.relay.message()
        assert list(message.iter_attachments()) == []
        text = message.get_body(("plain",)).get_content()
        link = next(word for word in text.split() if word.startswith(PUBLIC_URL))
        assert (await house.links.open(*link.rsplit("/", 4)[1:])).data == pdf
        assert len(house.relay.sent[0].data) < 10_000

    run(story)


def test_a_link_ends():
    """By time, by a changed word, by the message's deletion, by the account's closure."""

    async def story(house, alice):
        await house.confirmed(alice, kind=MessageKind.FAX, mode=CopyMode.LINK)
        await house.fax(alice)
        await house.sender.tick()
        text = house.relay.message().get_body(("plain",)).get_content()
        words = next(w for w in text.split() if w.startswith(PUBLIC_URL)).rsplit("/", 4)[1:]
        assert (await house.links.open(*words)).data == b"%PDF-1.4"
        for number in range(4):
            wrong = [*words]
            wrong[number] = "0" * len(words[number])
            with pytest.raises(NotFoundError):
                await house.links.open(*wrong)
        await house.accounts.suspend("alice")
        await house.links.open(*words)
        await house.accounts.close("alice")
        with pytest.raises(NotFoundError):
            await house.links.open(*words)
        await house.accounts.reopen("alice")
        house.clock.advance(days=29)
        await house.links.open(*words)
        house.clock.advance(days=2)
        with pytest.raises(NotFoundError):
            await house.links.open(*words)
        house.clock.advance(days=-30)
        (entry,) = await house.folder(alice)
        await house.store.run("x", lambda tx: tx.messages.expunge(entry.mailbox_id, [entry.uid]))
        with pytest.raises(NotFoundError):
            await house.links.open(*words)

    run(story)


HOSTILE = 'Eve\r\nBcc: all@example.org\r\n\r\n<img src=x onerror="alert(1)">\u202e{{ 7*7 }}'


def test_hostile_callers_reach_no_header_and_no_markup():
    """A name with line ends, markup and template words stays text, wherever it is shown."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice, caller_name=HOSTILE)
        await house.sender.tick()
        data, message = house.relay.sent[0].data, house.relay.message()
        assert message["Bcc"] is None
        assert b"\nBcc" not in data
        html = message.get_body(("html",)).get_content()
        assert "<img" not in html
        assert "&lt;img src=x onerror=" in html
        for text in (html, message["Subject"], message.get_body(("plain",)).get_content()):
            assert "{{ 7*7 }}" in text
            assert "\u202e" not in text

    run(story)


def test_nothing_leaves_without_a_rule_an_address_and_a_confirmation():
    """Off by default; an address that nobody confirmed gets the link and nothing else."""

    async def story(house, alice):
        await house.voice(alice, key="a")
        await house.book.add(alice.id, TARGET)
        await house.rules.set(alice.id, MessageKind.VOICE, CopyRule(CopyMode.ATTACH))
        await house.voice(alice, key="b")
        await house.deliver(alice, mail(), MessageKind.MAIL, "c")
        assert await house.rows(alice) == []
        await house.sender.tick()
        assert [each.recipient for each in house.relay.sent] == [TARGET]
        assert b"audio" not in house.relay.sent[0].data
        await house.book.confirm(house.mailed_token())
        await house.voice(alice, key="d")
        await house.fax(alice)
        assert len(await house.rows(alice)) == 1

    run(story)


@pytest.mark.parametrize(
    "field",
    [
        b"Delivered-To: Alice@UM.example.net\r\n",
        b"Delivered-To: <+15551230001@um.example.net>\r\n",
        b"Auto-Submitted: auto-replied; x=y\r\n",
        b"Received: by x\r\n" * 30,
    ],
)
def test_loops_end_here(field):
    """What has been here, came too far or answers something is kept, and goes nowhere."""

    async def story(house, alice):
        await house.confirmed(alice, kind=MessageKind.INVOICE)
        data = field + INVOICE.replace(b"Auto-Submitted: auto-generated\r\n", b"")
        await house.deliver(alice, data, MessageKind.INVOICE, "i")
        assert await house.rows(alice) == []
        assert len(await house.folder(alice)) == 1

    run(story)


@pytest.mark.parametrize("after", list(AfterCopy))
def test_what_becomes_of_the_message(after):
    """Only when the relay has taken all copies: kept, read, or in Trash, from where it goes."""

    async def story(house, alice):
        await house.confirmed(alice, after=after)
        await house.confirmed(alice, "bob@example.org", kind=None)
        await house.voice(alice)
        house.relay.answers.extend([None, DEFERRED])
        await house.sender.tick()
        (entry,) = await house.folder(alice)
        assert SEEN not in entry.flags
        house.clock.advance(60)
        await house.sender.tick()
        assert len(house.relay.sent) == 2
        inbox, trash = await house.folder(alice), await house.folder(alice, "Trash")
        if after is AfterCopy.TRASH:
            assert inbox == []
            assert trash[0].trashed_at == house.clock.now()
        else:
            assert (SEEN in inbox[0].flags) == (after is AfterCopy.SEEN)
            assert trash == []

    run(story)


def test_a_refused_copy_leaves_the_message():
    """One of two is refused: the message stays where it is, and its owner is told at once."""

    async def story(house, alice):
        await house.confirmed(alice, after=AfterCopy.TRASH)
        await house.confirmed(alice, "bob@example.org", kind=None)
        await house.voice(alice)
        house.relay.answers.extend([REFUSED, None])
        await house.sender.tick()
        assert await house.folder(alice, "Trash") == []
        (notice,) = await house.notices(alice)
        assert notice["Subject"].startswith("A copy could not be delivered to ")
        assert "550 5.1.1 No such user" in notice.get_content()
        assert {row.state for row in await house.rows(alice)} == {
            OutboxState.REFUSED,
            OutboxState.DONE,
        }
        house.clock.advance(days=6)
        assert await house.sender.tick() == 0

    run(story)


def test_five_days_of_a_relay_that_is_down():
    """From a minute to four hours, always the same mail; then one notice, and no more attempts."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice)
        house.relay.always = DEFERRED
        start, waits = house.clock.now(), []
        while (await house.rows(alice))[0].state is OutboxState.WAITING:
            due = await house.store.read("due", lambda tx: tx.outbox.next_due())
            waits.append(due - house.clock.now())
            house.clock.advance(waits[-1].total_seconds())
            assert await house.sender.tick() == 1
        assert waits[:4] == [timedelta(minutes=each) for each in (0, 1, 2, 4)]
        assert max(waits) == timedelta(hours=4)
        assert house.clock.now() - start == GIVE_UP_AFTER
        assert house.relay.tried == len(waits)
        (notice,) = await house.notices(alice)
        assert "5 days" in notice.get_content()
        assert "451 4.3.0 Later" in notice.get_content()
        assert (await house.rows(alice))[0].state is OutboxState.GIVEN_UP
        assert len(await house.folder(alice)) == 2

    run(story)


def test_every_attempt_is_the_same_mail():
    """The octets of a retry, Message-ID and Date among them, are those of the first attempt."""

    async def story(house, alice):
        await house.confirmed(alice, mode=CopyMode.LINK)
        await house.voice(alice)
        (row,) = await house.rows(alice)
        house.relay.always = None
        await house.sender.tick()
        house.clock.advance(days=3)
        await house.store.run(
            "again", lambda tx: tx.outbox.settle(row.id, OutboxState.WAITING, house.clock.now())
        )
        await house.sender.tick()
        first, second = house.relay.sent
        assert first == second

    run(story)


@pytest.mark.parametrize("step", OUTBOX_STEPS)
def test_death_at_each_step(step):
    """Nothing is lost; a mail that had been taken without a word may come twice, as the same mail."""

    async def story(house, alice):
        await house.confirmed(alice, after=AfterCopy.TRASH)
        await house.voice(alice)
        died = False

        def die(name):
            nonlocal died
            if name == step and not died:
                died = True
                raise BaseExceptionGroup("killed", [KeyboardInterrupt()])

        with pytest.raises(BaseExceptionGroup):
            await house.sender_with(die).tick()
        assert died
        await house.sender.release()
        await house.sender.tick()
        assert len(house.relay.sent) == (2 if step == "outbox.accepted" else 1)
        assert (
            len({house.relay.message(n)["Message-ID"] for n in range(len(house.relay.sent))}) == 1
        )
        assert (await house.rows(alice))[0].state is OutboxState.DONE
        assert len(await house.folder(alice, "Trash")) == 1

    run(story)


def test_the_book_of_addresses():
    """Five at most, plain addresses only, not our own; confirmed once by a link that ends."""

    async def story(house, alice):
        for wrong in (
            "",
            "anna",
            "a@b",
            "a b@example.org",
            "a@example.org\r\nBcc: x",
            "ä@example.org",
        ):
            with pytest.raises(InvalidError):
                await house.book.add(alice.id, wrong)
        for own in (f"Alice@{DOMAIN}", f"+15551230001@{DOMAIN}", f"alice+x@{DOMAIN}"):
            with pytest.raises(InvalidError):
                await house.book.add(alice.id, own)
        await house.book.add(alice.id, TARGET)
        await house.sender.tick()
        token = house.mailed_token()
        assert (await house.book.asked(token)).address.address == TARGET
        house.clock.advance(days=4)
        with pytest.raises(NotFoundError):
            await house.book.confirm(token)
        await house.book.add(alice.id, "ANNA@example.org")
        await house.sender.tick()
        again = house.mailed_token()
        with pytest.raises(NotFoundError):
            await house.book.asked(token)
        await house.book.confirm(again)
        with pytest.raises(NotFoundError):
            await house.book.confirm(again)
        with pytest.raises(AlreadyExistsError):
            await house.book.add(alice.id, TARGET)
        for number in range(4):
            await house.book.add(alice.id, f"a{number}@example.org")
        with pytest.raises(InvalidError, match="5"):
            await house.book.add(alice.id, "six@example.org")
        await house.book.remove(alice.id, "Anna@example.org")
        with pytest.raises(NotFoundError):
            await house.book.remove(alice.id, TARGET)
        assert len(await house.book.every(alice.id)) == 4

    run(story)


def test_a_link_that_has_ended_is_not_mailed():
    """The relay was down for longer than the link lasts: a mail with it would only annoy."""

    async def story(house, alice):
        await house.book.add(alice.id, TARGET)
        house.relay.answers.append(DEFERRED)
        await house.sender.tick()
        house.clock.advance(days=4)
        await house.sender.tick()
        assert house.relay.sent == []
        assert [row.state for row in await house.queue.of_account(alice.id)] == [
            OutboxState.CANCELLED
        ]

    run(story)


def test_nobody_writes_to_strangers_through_us():
    """So many links in a day, however often addresses are removed; the next day there are more."""

    async def story(house, alice):
        for _ in range(MAX_CONFIRMATIONS):
            await house.book.add(alice.id, TARGET)
            await house.book.remove(alice.id, TARGET)
        with pytest.raises(LockedOutError):
            await house.book.add(alice.id, TARGET)
        await house.sender.tick()
        assert house.relay.sent == []  # what was removed before it left does not leave
        house.clock.advance(hours=25)
        await house.book.add(alice.id, TARGET)

    run(story)


def test_the_account_s_state_counts():
    """Suspended: what is there goes on, nothing may be changed. Closed: nothing leaves."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice, key="a")
        await house.accounts.suspend("alice")
        with pytest.raises(ReadOnlyError):
            await house.book.add(alice.id, "b@example.org")
        with pytest.raises(ReadOnlyError):
            await house.rules.set(alice.id, MessageKind.FAX, CopyRule(CopyMode.LINK))
        await house.sender.tick()
        assert len(house.relay.sent) == 1
        await house.accounts.resume("alice")
        await house.voice(alice, key="b")
        await house.accounts.close("alice")
        with pytest.raises(AccountClosedError):
            await house.queue.send_unseen(alice.id)
        await house.sender.tick()
        assert len(house.relay.sent) == 1
        assert {row.state for row in await house.rows(alice)} == {
            OutboxState.DONE,
            OutboxState.CANCELLED,
        }

    run(story)


def test_what_is_deleted_before_it_left_stays_home():
    """An expunged message is not sent after all; neither is one to an address that was removed."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice, key="a")
        (entry,) = await house.folder(alice)
        await house.store.run("x", lambda tx: tx.messages.expunge(entry.mailbox_id, [entry.uid]))
        await house.voice(alice, key="b")
        await house.book.remove(alice.id, TARGET)
        await house.sender.tick()
        assert house.relay.sent == []
        assert {row.state for row in await house.rows(alice)} == {OutboxState.CANCELLED}

    run(story)


def test_a_defect_loses_nothing():
    """An error that nobody expected puts the row off like any other; the others are sent."""

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice, key="a")
        house.relay.answers.append(ValueError("a defect"))
        await house.voice(alice, key="b")
        await house.sender.tick()
        assert len(house.relay.sent) == 1
        house.clock.advance(60)
        await house.sender.tick()
        assert {row.state for row in await house.rows(alice)} == {OutboxState.DONE}

    run(story)


def test_bounces():
    """A hard one is noted and told once, and brings the message back; a few in a row shut the address."""

    async def story(house, alice):
        await house.confirmed(alice, after=AfterCopy.TRASH)
        for number in range(HARD_BOUNCES):
            await house.voice(alice, key=f"k{number}")
            await house.sender.tick()
            row = (await house.rows(alice))[-1]
            address = f"Bounce+{row.id.upper()}@{DOMAIN}"
            assert await house.bounces.find(address) == row.id
            trashed = len(await house.folder(alice, "Trash"))
            for harmless in (
                report(row, action="delayed", status="4.4.1"),
                b"Subject: vacation\r\n\r\n",
            ):
                await house.bounces.take(row.id, harmless)
            assert len(await house.folder(alice, "Trash")) == trashed == 1
            for _ in range(2):
                await house.bounces.take(row.id, report(row))
            assert await house.folder(alice, "Trash") == []
            house.clock.advance(60)
        told = [notice["Subject"] for notice in await house.notices(alice)]
        assert told.count(f"A copy could not be delivered to {TARGET}") == HARD_BOUNCES
        assert told.count(f"Nothing is sent to {TARGET} any more") == 1
        (shut,) = await house.book.every(alice.id)
        assert shut.state is AddressState.DISABLED
        delivered = await house.voice(alice, key="last")
        assert delivered.outbox_rows == 0
        await house.book.add(alice.id, TARGET)
        await house.sender.tick()
        await house.book.confirm(house.mailed_token())
        assert (await house.voice(alice, key="again")).outbox_rows == 1

    run(story)


def test_a_bounce_that_is_quicker_than_the_answer():
    """A relay that tries at once: the report is there before its 250. The message stays in INBOX."""

    async def story(house, alice):
        await house.confirmed(alice, after=AfterCopy.TRASH)
        await house.voice(alice)
        (row,) = await house.rows(alice)
        send = house.relay.send

        async def bounce_first(mail):
            await house.bounces.take(row.id, report(row))
            await send(mail)

        house.relay.send = bounce_first
        await house.sender.tick()
        assert (await house.rows(alice))[0].state is OutboxState.BOUNCED
        assert await house.folder(alice, "Trash") == []
        assert len(await house.notices(alice)) == 1

    run(story)


def test_a_slow_relay_holds_up_no_other():
    """While three mails are still being handed over, all others go, those that came later too."""

    async def story(house, alice):
        await house.confirmed(alice)
        stuck, send = asyncio.Event(), house.relay.send
        arrived = 0

        async def slow_for_the_first(mail):
            nonlocal arrived
            arrived += 1
            if arrived <= AT_ONCE - 1:
                await stuck.wait()
            await send(mail)
            if len(house.relay.sent) == 7:
                stuck.set()

        house.relay.send = slow_for_the_first
        for number in range(9):
            await house.voice(alice, key=f"k{number}")
        tick = asyncio.create_task(house.sender.tick())
        while len(house.relay.sent) < 6:
            await asyncio.sleep(0)
        await house.voice(alice, key="later")
        assert await tick == 10
        assert len(house.relay.sent) == 10

    run(story)


def test_two_mailboxes_that_send_each_other_the_same():
    """A to B to A: each has it twice at most, and then it is quiet."""

    async def story(house, alice):
        bob = await house.add("bob", "+15551230009")
        await house.confirmed(alice, f"bob@{DOMAIN}", kind=MessageKind.INVOICE)
        await house.confirmed(bob, f"alice@{DOMAIN}", kind=MessageKind.INVOICE)
        await house.deliver(alice, INVOICE, MessageKind.INVOICE, "first")
        hops = 0
        while await house.sender.tick():
            mails, house.relay.sent = house.relay.sent, []
            for sent in mails:
                hops += 1
                assert hops < 10
                owner = alice if sent.recipient.startswith("alice") else bob
                await house.deliver(owner, sent.data, MessageKind.INVOICE, f"hop-{hops}")
        assert hops == 2
        assert [len(await house.folder(each)) for each in (alice, bob)] == [2, 1]

    run(story)


def test_a_sender_that_closes_begins_nothing_more():
    """What is being handed over ends; the rest waits for the next start."""

    async def story(house, alice):
        await house.confirmed(alice)
        for number in range(9):
            await house.voice(alice, key=f"k{number}")
        send = house.relay.send

        async def close_then_send(mail):
            house.sender.close()
            await send(mail)

        house.relay.send = close_then_send
        tried = await house.sender.tick()
        assert 0 < tried == len(house.relay.sent) <= AT_ONCE
        assert await house.sender_with().tick() == 9 - tried

    run(story)


@pytest.mark.parametrize(
    "address",
    [
        "bounce+x@um.example.net",
        f"bounce+{'0' * 32}@um.example.net",
        f"bounce+{'0' * 32}@other.net",
    ],
)
def test_no_row_no_bounce(address):
    """Only an address that names a row that is there takes reports."""

    async def story(house, _):
        assert await house.bounces.find(address) is None

    run(story)


def test_sent_by_hand():
    """The unseen faxes and invoices go once, and count as seen when they are taken."""

    async def story(house, alice):
        with pytest.raises(NotFoundError):
            await house.queue.send_unseen(alice.id)
        await house.confirmed(alice, kind=None)
        await house.fax(alice, key="old")
        (old,) = await house.folder(alice)
        await house.store.run(
            "seen",
            lambda tx: tx.messages.change_flags(
                old.mailbox_id, [old.uid], FlagOperation.ADD, [SEEN]
            ),
        )
        await house.fax(alice, key="new")
        await house.voice(alice)
        await house.deliver(alice, INVOICE, MessageKind.INVOICE, "i")
        assert await house.queue.send_unseen(alice.id) == 2
        assert await house.queue.send_unseen(alice.id) == 2  # they wait already: nothing is added
        await house.sender.tick()
        assert len(house.relay.sent) == 2
        assert await house.queue.send_unseen(alice.id) == 0
        unseen = [e.kind for e in await house.folder(alice) if SEEN not in e.flags]
        assert unseen == [MessageKind.VOICE]

    run(story)


def test_own_words(tmp_path):
    """An operator's template is used; one that fails is not, and the mail leaves all the same."""
    (tmp_path / "copy.en.txt").write_text("Subject: News for {{ owner }}\n\nOwn words.\n")
    (tmp_path / "copy.en.html").write_text("{{ nothing.of.that }}")

    async def story(house, alice):
        await house.confirmed(alice)
        await house.voice(alice)
        await house.sender.tick()
        message = house.relay.message()
        assert message["Subject"] == "News for Alice Adams"
        assert message.get_body(("plain",)).get_content().strip() == "Own words."
        assert "Bob" in message.get_body(("html",)).get_content()

    run(story, templates=tmp_path)
