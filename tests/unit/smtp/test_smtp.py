"""SMTP as a dialogue: who may hand over what, what is refused and how the client is kept in bounds."""

import asyncio

import pytest

from tests.support.house import DOMAIN, House
from tests.support.mail_wire import BILLING, STRANGER, TRUSTED, Wire, letter, mail_in
from um.core.errors import UMError
from um.core.message import MessageKind
from um.service.delivery import Delivered, Delivery, Incoming

ALICE = f"alice@{DOMAIN}"


class Watched:
    """A `Delivery` that remembers what it was given and can be made to wait or fail."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self.given: list[Incoming] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None
        self.begun = asyncio.Event()

    async def may_take(self, *args: object, **more: object) -> None:
        await self._delivery.may_take(*args, **more)

    async def deliver(self, incoming: Incoming) -> Delivered:
        self.given.append(incoming)
        self.begun.set()
        if self.error:
            raise self.error
        if self.gate:
            await self.gate.wait()
        return await self._delivery.deliver(incoming)


async def house_with_alice() -> tuple[House, Watched]:
    house = House()
    await house.add()
    return house, Watched(house.delivery)


def test_ehlo_and_helo() -> None:
    """What is offered without TLS: no STARTTLS, never AUTH; every reply has its status code."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house))
        assert await wire.reply() == [f"220 {DOMAIN} ESMTP"]
        wire.send(b"EHLO x\r\n")
        assert await wire.reply() == [
            f"250-{DOMAIN}",
            "250-SIZE 26214400",
            "250-8BITMIME",
            "250-PIPELINING",
            "250 ENHANCEDSTATUSCODES",
        ]
        assert await wire.talk("AUTH PLAIN AGEAYg==", "STARTTLS", "VRFY alice", "HELO x") == [
            "502 5.5.1 AUTH is not available",
            "454 4.7.0 TLS not available",
            "502 5.5.1 Could not VRFY alice",
            f"250 {DOMAIN}",
        ]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("peer", "sender", "kind"),
    [
        (TRUSTED, BILLING, MessageKind.INVOICE),
        (TRUSTED, "x@example.org", MessageKind.MAIL),
        (STRANGER, BILLING, MessageKind.MAIL),
        (TRUSTED, "", MessageKind.MAIL),
        ("::ffff:127.0.0.1", BILLING, MessageKind.INVOICE),
        ("2001:db8::1", BILLING, MessageKind.MAIL),
    ],
)
def test_an_invoice_needs_sender_and_client(peer: str, sender: str, kind: MessageKind) -> None:
    """Only a listed envelope sender over a trusted client makes an invoice."""

    async def run() -> None:
        house, watched = await house_with_alice()
        wire = Wire(mail_in(house, watched), peer=peer)
        assert await wire.begin(ALICE, sender=sender) == ["250 2.1.5 OK"]
        assert await wire.data(letter()) == [f"250 2.0.0 <{ALICE}> stored"]
        assert [incoming.kind for incoming in watched.given] == [kind]

    asyncio.run(run())


def test_nothing_is_relayed() -> None:
    """Another domain is 550 5.7.1, in every way of writing it."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house))
        await wire.begin()
        for path in ("a@example.org", f"@{DOMAIN}:a@example.org", f"alice@{DOMAIN}.example.org"):
            assert (await wire.say(f"RCPT TO:<{path}>")).startswith("550 5.7.1 "), path
        for path in (f"a%example.org@{DOMAIN}", f'"a@example.org"@{DOMAIN}', f"a!b@{DOMAIN}"):
            assert (await wire.say(f"RCPT TO:<{path}>")).startswith("550 5.1.1 "), path
        assert (await wire.say("DATA")).startswith("503 5.5.1 ")

    asyncio.run(run())


def test_one_account_a_message() -> None:
    """SMTP has one reply: a second account is put off with 452, its own addresses are taken."""

    async def run() -> None:
        house, watched = await house_with_alice()
        await house.add("bob", None)
        wire = Wire(mail_in(house, watched))
        assert await wire.begin(ALICE, f"bob@{DOMAIN}", f"+15551230001@{DOMAIN}") == [
            "250 2.1.5 OK",
            "452 4.5.3 Too many recipients, send the others apart",
            "250 2.1.5 OK",
        ]
        assert (await wire.data(letter()))[0].startswith("250 ")
        assert len(watched.given) == 1

    asyncio.run(run())


ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
]


@pytest.mark.parametrize("ending", ENDINGS, ids=[ending.hex() for ending in ENDINGS])
def test_no_smuggling(ending: bytes) -> None:
    """Only CRLF . CRLF ends a message: with what looks like an end it is refused whole."""

    async def run() -> None:
        house, watched = await house_with_alice()
        wire = Wire(mail_in(house, watched))
        await wire.begin(ALICE, sender="x@example.org")
        assert (await wire.say("DATA")).startswith("354")
        smuggled = b"MAIL FROM:<a@b>\r\nRCPT TO:<" + ALICE.encode() + b">\r\nDATA\r\nb: c\r\n\r\nd"
        wire.send(letter() + b"text" + ending + smuggled + b"\r\n.\r\n")
        (reply,) = await wire.reply()
        if b"\0" in ending:
            assert reply == "554 5.6.0 NUL in message"
        else:
            assert reply == "550 5.6.0 Bare CR or LF in message (RFC 5321 section 2.3.8)"
        assert watched.given == []
        assert await wire.say("NOOP") == "250 2.0.0 OK"

    asyncio.run(run())


def test_the_right_end_and_what_follows() -> None:
    """Commands pipelined after CRLF . CRLF are commands; the order of replies is kept."""

    async def run() -> None:
        house, watched = await house_with_alice()
        wire = Wire(mail_in(house, watched))
        await wire.begin(ALICE)
        wire.send(b"DATA\r\nSubject: a\r\n\r\nb\r\n.\r\nNOOP\r\nQUIT\r\n")
        replies = [(await wire.reply())[0][:3] for _ in range(4)]
        assert replies == ["354", "250", "250", "221"]
        assert watched.given[0].data.endswith(b"Subject: a\r\n\r\nb\r\n")

    asyncio.run(run())


def test_an_empty_message_is_one() -> None:
    """A dot at once: a message of trace fields alone."""

    async def run() -> None:
        house, watched = await house_with_alice()
        wire = Wire(mail_in(house, watched))
        await wire.begin(ALICE, sender="")
        await wire.say("DATA")
        assert (await wire.say(".")).startswith("250 ")
        assert watched.given[0].data.startswith(b"Return-Path: <>\r\nReceived: from client ")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        (b"Received: x\r\n" * 31 + b"\r\n", "554 5.4.6 Mail loop: too many Received fields"),
        (b"A: " + b"x" * 70_000 + b"\r\n\r\n", "554 5.6.0 Line longer than 65536 octets"),
        (b"A: b\r\n" * 50_000 + b"\r\n", "554 5.6.0 Header is too large"),
        (b"A: b\r\n" * 1001 + b"\r\n", "554 5.6.0 Header is too large"),
        (b" X-UM-Kind: invoice\r\n\r\n", "554 5.6.0 Message begins with a continuation line"),
        (letter(200_000), "552 5.3.4 Message is larger than 100000 octets"),
    ],
    ids=["loop", "line", "header", "fields", "continuation", "size"],
)
def test_what_no_honest_mail_is(message: bytes, reply: str) -> None:
    """Loops, endless lines, header floods and oversize are refused; the connection goes on."""

    async def run() -> None:
        house, watched = await house_with_alice()
        limit = 100_000 if "larger than" in reply else 1_000_000
        server = mail_in(house, watched, max_size_octets=limit)
        wire = Wire(server)
        await wire.begin(ALICE)
        assert await wire.data(message) == [reply]
        assert (await wire.talk(f"MAIL FROM:<{BILLING}>", f"RCPT TO:<{ALICE}>"))[1][:3] == "250"
        assert (await wire.data(letter()))[0].startswith("250 ")
        assert len(watched.given) == 1
        assert server.budget.used_octets == 0

    asyncio.run(run())


def test_fields_are_counted_in_the_header_alone() -> None:
    """A thousand fields are taken, folded or not, and a body may hold what looks like more."""

    async def run() -> None:
        house, watched = await house_with_alice()
        wire = Wire(mail_in(house, watched))
        await wire.begin(ALICE)
        fields = b"A: b\r\n c\r\n" * 1000
        assert (await wire.data(fields + b"\r\n" + b"B: c\r\n" * 5000))[0].startswith("250 ")

    asyncio.run(run())


def test_memory_is_bounded_over_all_clients() -> None:
    """When the memory for mail in flight is taken, another message is put off with 452."""

    async def run() -> None:
        house, watched = await house_with_alice()
        watched.gate = asyncio.Event()
        server = mail_in(house, watched, memory_octets=150_000)
        first, second = Wire(server), Wire(server)
        for wire in (first, second):
            await wire.begin(ALICE)
            await wire.say("DATA")
        first.send(letter(100_000) + b".\r\n")
        await watched.begun.wait()
        second.send(letter(100_000, subject="Second") + b".\r\n")
        assert (await second.reply())[0].startswith("452 4.3.1 ")
        watched.gate.set()
        assert (await first.reply())[0].startswith("250 ")
        assert server.budget.used_octets == 0

    asyncio.run(run())


def test_a_defect_bounces_no_mail() -> None:
    """An unexpected exception is a temporary refusal without its words; it is counted."""

    async def run() -> None:
        house, watched = await house_with_alice()
        watched.error = RuntimeError("secret inside")
        server = mail_in(house, watched)
        wire = Wire(server)
        await wire.begin(ALICE)
        (reply,) = await wire.data(letter())
        assert reply.startswith("451 4.3.0 ")
        assert "secret" not in reply
        assert server.metrics.counts["smtp_internal_errors"] == 1

    asyncio.run(run())


def test_a_disk_that_is_full() -> None:
    """UnavailableError with ENOSPC behind it is 452 4.3.1."""

    async def run() -> None:
        house, watched = await house_with_alice()
        watched.error = full_disk()
        wire = Wire(mail_in(house, watched))
        await wire.begin(ALICE)
        assert (await wire.data(letter()))[0].startswith("452 4.3.1 ")

    asyncio.run(run())


def full_disk() -> UMError:
    from um.core.errors import UnavailableError

    error = UnavailableError()
    error.__cause__ = OSError(28, "No space left on device")
    return error


def test_connections_are_capped() -> None:
    """By address for strangers, in all for everyone; a place that is left can be taken again."""

    async def run() -> None:
        house, _ = await house_with_alice()
        server = mail_in(house, max_connections=4, max_connections_per_address=2)
        strangers = [Wire(server, peer=STRANGER) for _ in range(3)]
        heard = [(await wire.reply())[0][:3] for wire in strangers]
        assert heard == ["220", "220", "421"]
        friends = [Wire(server) for _ in range(3)]
        assert [(await wire.reply())[0][:3] for wire in friends] == ["220", "220", "421"]
        assert await strangers[0].say("QUIT") == "221 2.0.0 Bye"
        assert await strangers[0].reply() == []
        await asyncio.sleep(0)
        assert (await Wire(server, peer=STRANGER).reply())[0][:3] == "220"

    asyncio.run(run())


def test_recipients_are_capped() -> None:
    """The 101st recipient is put off; a stranger who guesses names is sent away."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house, max_recipients=3), lmtp=True)
        replies = await wire.begin(*[ALICE] * 4)
        assert [reply[:9] for reply in replies] == ["250 2.1.5"] * 3 + ["452 4.5.3"]
        guesser = Wire(mail_in(house, max_unknown_recipients=2), peer=STRANGER)
        replies = await guesser.begin(*(f"guess{n}@{DOMAIN}" for n in range(3)))
        assert [reply[:3] for reply in replies] == ["550", "550", "421"]
        assert await guesser.reply() == []

    asyncio.run(run())


def test_hostile_commands() -> None:
    """Bad syntax gets a reply of its class and leaves the connection usable."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house))
        await wire.begin()
        for line in (
            "MAIL FROM:",
            "RCPT TO:<>",
            "RCPT TO:<a b@c>",
            "RCPT TO:<" + "a" * 400 + f"@{DOMAIN}>",
            "RCPT TO:<a@b",
            "RCPT TO:alice",
            "RCPT " + "x" * 3000,
            f"RCPT TO:<{ALICE}> FOO=BAR",
            f"RCPT TO:<\x7f@{DOMAIN}>",
        ):
            assert (await wire.say(line))[0] == "5", line
        wire.send(b"RCPT TO:<\xff\xfe@x>\r\n" + b"\0\0\r\n" + b"\r\n")
        assert [(await wire.reply())[0][0] for _ in range(3)] == ["5"] * 3
        assert await wire.say(f"RCPT TO:<{ALICE}>") == "250 2.1.5 OK"

    asyncio.run(run())


def test_a_password_sent_for_nothing_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes on after its AUTH was refused sends its password as a command."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house))
        await wire.reply()
        await wire.say("EHLO client")
        assert (await wire.say("AUTH LOGIN")).startswith("502")
        assert (await wire.say("c2VjcmV0LXBhc3N3b3Jk")).startswith("500")

    asyncio.run(run())
    assert "c2vjcmv0" not in caplog.text.lower()


def test_commands_are_capped() -> None:
    """A client that only makes noise is sent away."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house, max_messages_per_connection=3))
        await wire.reply()
        await wire.say("EHLO x")
        replies = await wire.talk(*["NOOP"] * 7)
        assert [reply[:3] for reply in replies] == ["250"] * 6 + ["421"]
        assert await wire.reply() == []

    asyncio.run(run())


def test_stop_lets_a_message_end() -> None:
    """An idle client hears 421 at once; one in DATA gets its reply first, then 421."""

    async def run() -> None:
        house, watched = await house_with_alice()
        watched.gate = asyncio.Event()
        server = mail_in(house, watched)
        idle, sending = Wire(server), Wire(server)
        await idle.reply()
        await sending.begin(ALICE)
        await sending.say("DATA")
        sending.send(letter() + b".\r\n")
        await watched.begun.wait()
        stopping = asyncio.create_task(server.stop())
        assert (await idle.reply())[0].startswith("421 4.3.2 ")
        assert not stopping.done()
        watched.gate.set()
        assert (await sending.reply())[0].startswith("250 ")
        assert (await sending.reply())[0].startswith("421 4.3.2 ")
        await asyncio.wait_for(stopping, 10)

    asyncio.run(run())


def test_a_delivery_ends_though_its_client_is_gone() -> None:
    """The connection is cut while the message commits: the commit is not torn."""

    async def run() -> None:
        house, watched = await house_with_alice()
        watched.gate = asyncio.Event()
        server = mail_in(house, watched)
        wire = Wire(server)
        await wire.begin(ALICE)
        await wire.say("DATA")
        wire.send(letter() + b".\r\n")
        await watched.begun.wait()
        wire.hang_up()
        await asyncio.sleep(0)
        watched.gate.set()
        await server.stop()
        assert len(house.stored) == 1

    asyncio.run(run())


def test_stop_does_not_wait_for_ever() -> None:
    """A client that stalls in DATA is cut off when the grace is over."""

    async def run() -> None:
        house, watched = await house_with_alice()
        server = mail_in(house, watched)
        wire = Wire(server)
        await wire.begin(ALICE)
        await wire.say("DATA")
        wire.send(b"Subject: never ends\r\n")
        await asyncio.wait_for(server.stop(grace_seconds=0), 10)
        assert await wire.reply() == []
        assert watched.given == []

    asyncio.run(run())


def test_a_message_that_trickles_is_broken_off() -> None:
    """DATA has a time for the whole message, however often something comes."""

    async def run() -> None:
        house, watched = await house_with_alice()
        server = mail_in(house, watched, data_timeout_seconds=-1)
        wire = Wire(server)
        await wire.begin(ALICE)
        await wire.say("DATA")
        wire.send(b"Subject: slow\r\n")
        assert await wire.reply() == []
        assert server.metrics.counts["smtp_data_broken_off"] == 1
        assert server.budget.used_octets == 0

    asyncio.run(run())


def test_a_defect_in_a_command_is_temporary() -> None:
    """An unexpected exception at RCPT is 451 without its words; the connection goes on."""

    async def run() -> None:
        house, watched = await house_with_alice()
        server = mail_in(house, watched)
        wire = Wire(server)
        await wire.begin()
        server.reception._directory = None
        reply = await wire.say(f"RCPT TO:<{ALICE}>")
        assert reply == "451 4.3.0 Internal error, try again later"
        assert await wire.say("NOOP") == "250 2.0.0 OK"
        assert server.metrics.counts["smtp_internal_errors"] == 1

    asyncio.run(run())


def test_data_in_the_wrong_place() -> None:
    """DATA before the greeting, before a recipient, with an argument: its own refusal each."""

    async def run() -> None:
        house, _ = await house_with_alice()
        wire = Wire(mail_in(house))
        await wire.reply()
        assert await wire.talk("DATA", "EHLO x", "DATA") == [
            "503 5.5.1 send HELO first",
            "250 ENHANCEDSTATUSCODES",
            "503 5.5.1 Need RCPT command",
        ]
        await wire.talk("MAIL FROM:<>", f"RCPT TO:<{ALICE}>")
        assert await wire.say("DATA now") == "501 5.5.4 Syntax: DATA"

    asyncio.run(run())


def test_the_step_before_the_reply() -> None:
    """`delivery.acknowledging` comes after the commit and before the 250."""

    async def run() -> None:
        order: list[str] = []
        house = House(steps=order.append)
        await house.add()
        wire = Wire(mail_in(house))
        await wire.begin(ALICE)
        await wire.data(letter())
        assert order[-2:] == ["transaction.committed", "delivery.acknowledging"]

    asyncio.run(run())
