"""Mail to our own envelope senders: reports are taken from the null sender, and nobody is answered."""

import asyncio

from tests.support.forwarding import ForwardHouse, report
from tests.support.house import DOMAIN
from tests.support.mail_wire import STRANGER, Wire, letter, mail_in
from um.core.forwarding import OutboxState


async def sent_row(house):
    """A copy that the relay has taken."""
    alice = await house.add()
    await house.confirmed(alice)
    await house.voice(alice)
    await house.sender.tick()
    (row,) = await house.rows(alice)
    return alice, row


def test_a_report_comes_back() -> None:
    """From anywhere, by SMTP: noted before its 250."""

    async def run() -> None:
        house = ForwardHouse()
        alice, row = await sent_row(house)
        wire = Wire(mail_in(house), peer=STRANGER)
        await wire.reply()
        await wire.say("EHLO mx.example.org")
        back = f"bounce+{row.id}@{DOMAIN}"
        assert await wire.talk("MAIL FROM:<>", f"RCPT TO:<{back}>") == [
            "250 2.1.0 OK",
            "250 2.1.5 OK",
        ]
        assert await wire.data(report(row)) == [f"250 2.0.0 <{back}> stored"]
        assert (await house.rows(alice))[0].state is OutboxState.BOUNCED
        assert len(house.relay.sent) == 1

    asyncio.run(run())


def test_what_is_not_for_a_row() -> None:
    """A letter, a row that is not there, and a second recipient in the same transaction."""

    async def run() -> None:
        house = ForwardHouse()
        _, row = await sent_row(house)
        wire = Wire(mail_in(house))
        await wire.reply()
        await wire.say("EHLO mx.example.org")
        back = f"bounce+{row.id}@{DOMAIN}"
        assert await wire.talk("MAIL FROM:<eve@example.com>", f"RCPT TO:<{back}>") == [
            "250 2.1.0 OK",
            "550 5.7.1 This address takes delivery reports only",
        ]
        await wire.say("RSET")
        assert await wire.talk(
            "MAIL FROM:<>",
            f"RCPT TO:<bounce+{'0' * 32}@{DOMAIN}>",
            f"RCPT TO:<{back}>",
            f"RCPT TO:<alice@{DOMAIN}>",
        ) == [
            "250 2.1.0 OK",
            "550 5.1.1 No such mailbox here",
            "250 2.1.5 OK",
            "452 4.5.3 Too many recipients, send the others apart",
        ]
        assert (await wire.data(letter()))[0].startswith("250")

    asyncio.run(run())


def test_storage_that_is_away_is_a_reason_to_come_again() -> None:
    """451: the report is not lost."""

    async def run() -> None:
        house = ForwardHouse()
        alice, row = await sent_row(house)
        wire = Wire(mail_in(house))
        await wire.reply()
        await wire.say("EHLO mx.example.org")
        await wire.talk("MAIL FROM:<>", f"RCPT TO:<bounce+{row.id}@{DOMAIN}>")
        house.store.unavailable = True
        assert (await wire.data(report(row)))[0].startswith("451")
        house.store.unavailable = False
        assert (await house.rows(alice))[0].state is OutboxState.DONE

    asyncio.run(run())
