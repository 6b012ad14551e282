"""Any commands in any order: each is answered once, and none finds an error of ours."""

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.house import PASSWORD
from tests.support.imap_transcript import Stage

NAMES = ["INBOX", "INBOX", "Trash", "x", "x/z", '"Été"', '""', "inbox"]
SETS = ["1", "1:2", "*", "1:*", "2:1", "$", "7"]
ITEMS = ["FLAGS", "ENVELOPE", "BODYSTRUCTURE", "BODY[]", "BODY.PEEK[1.MIME]", "PREVIEW", "MODSEQ"]
ITEMS += ["BINARY[1]", "BINARY.SIZE[1]", "BINARY.PEEK[1]<3.5>", "BINARY[]", "BINARY[1.2.3]"]
URLS = ["/INBOX/;UID=1", "/x/;UID=1/;SECTION=1", ";UID=2", "/INBOX;UIDVALIDITY=1/;UID=1", "none"]
MESSAGES = [
    b"a: b\r\n\r\nhello",
    b"",
    b"\0",
    b"Subject: \xc3\xa9\r\n\r\nx",
    b"Content-Transfer-Encoding: binary\r\n\r\n\0\xff",
    b"Content-Transfer-Encoding: x\r\n\r\nz",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--",
    b"Content-Transfer-Encoding: base64\r\n\r\nQUJD",
]
PLAIN = [
    "SELECT INBOX",
    "EXAMINE {name}",
    "CREATE {name}",
    "DELETE {name}",
    "RENAME {name} {other}",
    "SUBSCRIBE {name}",
    "STATUS {name} (MESSAGES DELETED HIGHESTMODSEQ)",
    "{uid}FETCH {set} ({item} {item2})",
    "{uid}STORE {set} +FLAGS (\\Deleted k)",
    "{uid}STORE {set} -FLAGS.SILENT (\\Deleted)",
    "EXPUNGE",
    "CLOSE",
    "{uid}MOVE {set} {name}",
    "{uid}COPY {set} {name}",
    "{uid}SEARCH RETURN (SAVE) UNSEEN",
    "{uid}SEARCH TEXT x",
    "ENABLE UTF8=ACCEPT",
    "ENABLE IMAP4rev2",
    "ENABLE QRESYNC",
    "NOTIFY NONE",
    "NOTIFY SET STATUS ({filter} {events}) (personal {events2})",
    "GETMETADATA {name} (DEPTH infinity) /private/a",
    "SETMETADATA {name} (/private/a ~{{2+}}\r\n\0z)",
    "SETMETADATA {name} (/private/a NIL)",
    "IDLE\r\nDONE",
    'LIST "" * RETURN (SUBSCRIBED STATUS (SIZE))',
    "NOOP",
]
FILTERS = ["selected", "selected-delayed", "subscribed", "subtree x", "mailboxes (INBOX x)"]
EVENTS = ["(MessageNew MessageExpunge FlagChange)", "(MailboxName SubscriptionChange)", "NONE"]
EVENTS += ["(MessageNew (UID BODY[]) MessageExpunge)", "(MailboxMetadataChange)", "(Unknown)"]


def literal(random: Random) -> bytes:
    octets = random.choice(MESSAGES)
    return random.choice([b"", b"~"]) + b"{%d+}\r\n" % len(octets) + octets


def message(random: Random) -> bytes:
    """One message of an APPEND, in one of its forms."""
    heading = random.choice([b"", b"(\\Seen) ", b'(k) "01-Feb-2026 10:00:00 +0000" '])
    form = random.random()
    if form < 0.6:
        return heading + literal(random)
    if form < 0.7:
        return heading + b"UTF8 (~" + literal(random).lstrip(b"~") + b")"
    parts = [
        random.choice([b'URL "%b"' % random.choice(URLS).encode(), b"TEXT " + literal(random)])
        for _ in range(random.randint(1, 3))
    ]
    return heading + b"CATENATE (" + b" ".join(parts) + b")"


def command(random: Random) -> bytes:
    name, uid = random.choice(NAMES), random.choice(["", "UID "])
    kind = random.random()
    if kind < 0.15:
        messages = b" ".join(message(random) for _ in range(random.randint(1, 3)))
        return b"APPEND " + name.encode() + b" " + messages
    if kind < 0.25:
        start = f"{uid}REPLACE {random.choice(SETS)} {name} "
        return start.encode() + message(random)
    line = random.choice(PLAIN).format(
        name=name,
        other=random.choice(NAMES),
        uid=uid,
        set=random.choice(SETS),
        item=random.choice(ITEMS),
        item2=random.choice(ITEMS),
        filter=random.choice(FILTERS),
        events=random.choice(EVENTS),
        events2=random.choice(EVENTS),
    )
    return line.encode()


async def story(random: Random) -> None:
    stage = Stage()
    await stage.house.add("alice", None)
    for data in (MESSAGES[0], MESSAGES[3], MESSAGES[5], MESSAGES[6], MESSAGES[7]):
        await stage.deposit("mail", "alice", data=data)
    for name in "AB":
        client = await stage.connect(name)
        client.send(f'x LOGIN alice "{PASSWORD}"\r\ny SELECT INBOX\r\n'.encode())
        await stage.settle()
        client.take_all()
    for number in range(30):
        client = stage.clients[random.choice("AB")]
        if client.ended:  # after too many BAD
            continue
        if random.random() < 0.1:
            await stage.deposit("voice", "alice")
        tag = b"t%d" % number
        stage.house.store.unavailable = random.random() < 0.05
        client.send(tag + b" " + command(random) + b"\r\n")
        await stage.settle()
        stage.house.store.unavailable = False
        told = client.take_all()
        tagged = [line for line in told.split(b"\r\n") if line.startswith(tag + b" ")]
        assert len(tagged) == 1 or client.ended, told
        assert b"SERVERBUG" not in told
        if client.ended:
            client.task.result()
            assert b"* BYE Too many bad commands\r\n" in told
    await stage.close()


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_command_is_answered_once(random):
    """Two sessions, every form of APPEND, mail that comes meanwhile, a store that is away at times."""
    asyncio.run(story(random))
