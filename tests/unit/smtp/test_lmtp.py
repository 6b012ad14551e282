"""LMTP as a dialogue: a reply for each recipient, each after its own commit (RFC 2033)."""

import asyncio

from tests.support.house import DOMAIN, House
from tests.support.mail_wire import BILLING, STRANGER, Wire, letter, mail_in
from um.core.message import MessageKind
from um.core.ports import Transaction
from um.mime.headers import get


async def stored(house: House, name: str = "alice") -> list[tuple[MessageKind, bytes]]:
    """Kind and octets of what is in the inbox of `name`, by UID."""

    def inbox_txn(tx: Transaction):
        account = tx.accounts.by_name(name, DOMAIN)
        inbox = tx.mailboxes.by_name(account.id, "INBOX")
        entries = tx.messages.entries(inbox.id)
        contents = tx.messages.contents({entry.content_id for entry in entries})
        return [(entry.kind, contents[entry.content_id].blob) for entry in entries]

    rows = await house.store.read("inbox", inbox_txn)
    return [(kind, await house.blobs.get(blob)) for kind, blob in rows]


def test_a_dialogue() -> None:
    """Greeting, keywords, envelope, one 250 for each of two recipients, and goodbye."""

    async def run() -> None:
        house = House()
        await house.add()
        await house.add("bob", None)
        wire = Wire(mail_in(house), lmtp=True)
        assert await wire.reply() == [f"220 {DOMAIN} LMTP"]
        wire.send(b"LHLO mx.example.net\r\n")
        assert await wire.reply() == [
            f"250-{DOMAIN}",
            "250-SIZE 26214400",
            "250-8BITMIME",
            "250-PIPELINING",
            "250 ENHANCEDSTATUSCODES",
        ]
        assert await wire.talk(
            "MAIL FROM:<x@example.org> SIZE=900 BODY=8BITMIME",
            f"RCPT TO:<alice@{DOMAIN}>",
            f"RCPT TO:<bob@{DOMAIN.upper()}>",
        ) == ["250 2.1.0 OK", "250 2.1.5 OK", "250 2.1.5 OK"]
        assert await wire.data(letter(), replies=2) == [
            f"250 2.0.0 <alice@{DOMAIN}> stored",
            f"250 2.0.0 <bob@{DOMAIN.upper()}> stored",
        ]
        assert await wire.say("QUIT") == "221 2.0.0 Bye"
        assert len(await stored(house)) == len(await stored(house, "bob")) == 1

    asyncio.run(run())


def test_each_recipient_has_its_own_fate() -> None:
    """Stored, full and unknown in one transaction: each hears its own, in order of RCPT."""

    async def run() -> None:
        house = House()
        await house.add()
        await house.add("full", None, quota_octets=1 << 20)
        await house.add("bob", None)
        wire = Wire(mail_in(house), lmtp=True)
        asked = await wire.begin(
            f"alice@{DOMAIN}", f"nobody@{DOMAIN}", f"full@{DOMAIN}", f"bob@{DOMAIN}"
        )
        assert asked == [
            "250 2.1.5 OK",
            "550 5.1.1 No such mailbox here",
            "250 2.1.5 OK",
            "250 2.1.5 OK",
        ]
        assert await wire.data(letter(2 << 20), replies=3) == [
            f"250 2.0.0 <alice@{DOMAIN}> stored",
            "552 5.2.2 Mailbox is full",
            f"250 2.0.0 <bob@{DOMAIN}> stored",
        ]
        assert [len(await stored(house, name)) for name in ("alice", "full", "bob")] == [1, 0, 1]

    asyncio.run(run())


def test_a_declared_size_is_refused_at_the_recipient() -> None:
    """SIZE beyond the room: 552 before the message is sent; beyond any message: at MAIL."""

    async def run() -> None:
        house = House()
        await house.add("full", None, quota_octets=1 << 20)
        wire = Wire(mail_in(house), lmtp=True)
        await wire.begin()
        assert await wire.talk(
            "RSET", "MAIL FROM:<> SIZE=2000000", f"RCPT TO:<full@{DOMAIN}>", "RSET"
        ) == ["250 2.0.0 OK", "250 2.1.0 OK", "552 5.2.2 Mailbox is full", "250 2.0.0 OK"]
        assert (await wire.say("MAIL FROM:<> SIZE=99999999")).startswith("552 5.3.4 ")

    asyncio.run(run())


def test_life_cycle_at_the_door() -> None:
    """Suspended: invoices in, other mail 450; closed: 550; both with the RFC 3463 code."""

    async def run() -> None:
        house = House()
        await house.add("slow", None)
        await house.add("gone", None)
        await house.accounts.suspend("slow")
        await house.accounts.close("gone")
        wire = Wire(mail_in(house), lmtp=True)
        assert await wire.begin(f"slow@{DOMAIN}", f"gone@{DOMAIN}") == [
            "250 2.1.5 OK",
            "550 5.2.1 Account is closed",
        ]
        assert (await wire.data(letter()))[0].startswith("250 ")
        assert await wire.talk("MAIL FROM:<x@y.org>", f"RCPT TO:<slow@{DOMAIN}>") == [
            "250 2.1.0 OK",
            "450 4.2.1 Account is suspended",
        ]
        assert [kind for kind, _ in await stored(house, "slow")] == [MessageKind.INVOICE]

    asyncio.run(run())


def test_a_number_in_any_spelling_is_its_mailbox() -> None:
    """NUMBER@domain in E.164, national and with prefixes; name with a tag too."""

    async def run() -> None:
        house = House()
        await house.add()
        wire = Wire(mail_in(house), lmtp=True)
        spellings = ("+15551230001", "15551230001", "5551230001", "alice+x")
        replies = await wire.begin(*(f"{spelling}@{DOMAIN}" for spelling in spellings))
        assert replies == ["250 2.1.5 OK"] * len(spellings)
        # All are one account: one message, and still a reply for each of them.
        assert len(await wire.data(letter(), replies=len(spellings))) == len(spellings)
        assert len(await stored(house)) == 1

    asyncio.run(run())


def test_the_message_as_it_is_stored() -> None:
    """Return-Path and Received come first and count; what strangers may not set is gone."""

    async def run() -> None:
        house = House()
        account = await house.add()
        wire = Wire(mail_in(house), lmtp=True)
        await wire.begin(f"alice@{DOMAIN}", sender="x@example.org", hello="LHLO mx.example.org")
        forged = (
            b"X-UM-Kind: invoice\r\nMESSAGE-CONTEXT : voice-message\r\nX-Um-Secret: a\r\n\tb\r\n"
            b"Return-Path: <forged@x>\r\nSubject: .\r\n\r\n.\r\n..dots\r\nend\r\n"
        )
        assert (await wire.data(b"A: b\r\n" + forged))[0].startswith("250 ")
        ((kind, data),) = await stored(house)
        assert kind is MessageKind.MAIL
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[:3] == [
            b"Return-Path: <x@example.org>",
            b"Received: from mx.example.org ([127.0.0.1])",
            lines[2],
        ]
        assert lines[2].startswith(b"\tby um.example.net with LMTP id ")
        assert lines[3] == b"\tWed, 04 Mar 2026 12:00:00 +0000"
        assert lines[4:] == [b"A: b", b"Subject: ."]
        assert body == b".\r\n..dots\r\nend\r\n"
        assert (await house.usage(account.id)).used_octets == len(data)

    asyncio.run(run())


def test_an_invoice_is_marked_as_one() -> None:
    """From the billing system over a trusted client: kind invoice, our own two fields."""

    async def run() -> None:
        house = House()
        await house.add()
        wire = Wire(mail_in(house), lmtp=True)
        await wire.begin(f"alice@{DOMAIN}", sender="Billing@Example.NET")
        await wire.data(letter())
        ((kind, data),) = await stored(house)
        assert kind is MessageKind.INVOICE
        assert (get(data, "X-UM-Kind"), get(data, "Message-Context")) == (
            b"invoice",
            b"text-message",
        )

    asyncio.run(run())


def test_a_lost_250_and_its_retry_make_one_message() -> None:
    """The client is gone before the reply; it comes again by another way: one copy."""

    async def run() -> None:
        house = House()
        await house.add()
        server = mail_in(house)
        wire = Wire(server, lmtp=True)
        await wire.begin(f"alice@{DOMAIN}")
        assert (await wire.say("DATA")).startswith("354")
        wire.send(letter() + b".\r\n")
        await asyncio.sleep(0)
        wire.hang_up()
        await server.stop()
        again = Wire(server, lmtp=True)
        await again.begin(f"alice@{DOMAIN}")
        rerouted = b"Received: from a by b; Wed, 04 Mar 2026 12:01:00 +0000\r\n" + letter()
        assert (await again.data(rerouted))[0].startswith("250 ")
        assert len(await stored(house)) == 1
        await again.say(f"MAIL FROM:<{BILLING}>")
        await again.say(f"RCPT TO:<alice@{DOMAIN}>")
        assert (await again.data(letter(subject="Another")))[0].startswith("250 ")
        assert len(await stored(house)) == 2

    asyncio.run(run())


def test_storage_trouble_is_temporary_and_nothing_is_stored() -> None:
    """451 at RCPT while the database is away, 451 after DATA while the disk is."""

    async def run() -> None:
        house = House()
        await house.add()
        wire = Wire(mail_in(house), lmtp=True)
        house.store.unavailable = True
        assert (await wire.begin(f"alice@{DOMAIN}"))[0].startswith("451 4.3.0 ")
        house.store.unavailable = False
        assert (await wire.say(f"RCPT TO:<alice@{DOMAIN}>")).startswith("250 ")
        house.blobs.unavailable = True
        assert (await wire.data(letter()))[0].startswith("451 4.3.0 ")
        assert await stored(house) == []

    asyncio.run(run())


def test_only_trusted_clients_speak_lmtp() -> None:
    """A stranger at the LMTP port is refused before it says a word."""

    async def run() -> None:
        wire = Wire(mail_in(House()), lmtp=True, peer=STRANGER)
        assert await wire.reply() == ["554 5.7.1 LMTP is for our own mail servers only"]
        assert await wire.reply() == []

    asyncio.run(run())


def test_lmtp_has_no_helo() -> None:
    """EHLO and HELO are not commands of LMTP; LHLO is needed before MAIL."""

    async def run() -> None:
        wire = Wire(mail_in(House()), lmtp=True)
        await wire.reply()
        assert await wire.talk("EHLO x", "HELO x", "MAIL FROM:<>", "LHLO", "FOO") == [
            "500 5.5.2 This is LMTP, say LHLO",
            "500 5.5.2 This is LMTP, say LHLO",
            "503 5.5.1 send LHLO first",
            "501 5.5.4 Syntax: EHLO hostname",
            '500 5.5.2 command "FOO" not recognized',
        ]

    asyncio.run(run())
