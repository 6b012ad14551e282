"""Extensions that few libraries speak, against a real server with its real store."""

import base64
import random
import re
import ssl
from collections.abc import Iterator

import imapclient
import pytest

from tests.support.imap_transcript import message
from tests.support.imap_wire import ImapWire
from tests.support.inbox import PASSWORD, connect, send_lmtp
from tests.support.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        for name in ("alice", "bob", "carol", "dave"):
            running.add_account(name, password=PASSWORD)
        yield running


def deliver(server: Server, name: str, *numbers: int) -> None:
    for number in numbers:
        raw = message(f"Message {number}", number=number)
        assert send_lmtp(server, [f"{name}@um.example.net"], raw) == {}


def trusted(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    return context


def literal(octets: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(octets), octets)


def test_messages_appended_together_appear_together(server):
    """MULTIAPPEND: an idle neighbour hears of all at once, or of none."""
    mail = b"Subject: many\r\n\r\n" + b"x" * 200_000 + b"\r\n"
    with (
        ImapWire(server, "alice", PASSWORD) as client,
        ImapWire(server, "alice", PASSWORD) as other,
    ):
        other.command(b"SELECT INBOX")
        refused = b" ".join([b"APPEND INBOX", literal(mail), literal(b"\0")])
        assert b"[CANNOT]" in client.command(refused, word=b"NO")[-1]
        answer = client.command(b" ".join([b"APPEND INBOX", *[literal(mail)] * 20]))
        assert b" 1:20] " in answer[-1]
        assert b"* 20 EXISTS\r\n" in other.command(b"NOOP")
        (size, _) = other.command(b"FETCH 20 RFC822.SIZE")
        assert size == b"* 20 FETCH (RFC822.SIZE %d)\r\n" % len(mail)


def test_imaplib_speaks_utf_8(server):
    """UTF8=ACCEPT as Python's own client speaks it: names and a search; its APPEND is mistaken."""
    client = connect(server, "bob")
    assert client.enable("UTF8=ACCEPT")[0] == "OK"
    folder = '"Répondeur/Été"'
    assert client.create(folder)[0] == "OK"
    raw = "Subject: Reçu\r\n\r\nBonjour\r\n".encode()
    with ImapWire(server, "bob", PASSWORD) as other:
        other.command(b"ENABLE UTF8=ACCEPT")
        form = b"UTF8 (~{%d+}\r\n%b)" % (len(raw), raw)
        answer = other.command(b"APPEND " + folder.encode() + b" (\\Seen) " + form)
        assert b"[APPENDUID " in answer[-1]
    assert client.select(folder) == ("OK", [b"1"])
    client.literal = "reçu".encode()
    assert client.uid("SEARCH", "SUBJECT")[1] == [b"1"]
    _, fetched = client.fetch("1", "(ENVELOPE BODY.PEEK[])")
    assert raw in [part for item in fetched if isinstance(item, tuple) for part in item]
    assert (
        'LIST (\\HasNoChildren) "/" "Répondeur/Été"'.encode()
        in b"LIST " + client.list('""', "R*")[1][1]
    )
    client.logout()
    with ImapWire(server, "bob", PASSWORD) as other:
        (line, _) = other.command(b'LIST "" R*/*')
        assert line == b'* LIST (\\HasNoChildren) "/" R&AOk-pondeur/&AMk-t&AOk-\r\n'
        other.command(b"SELECT R&AOk-pondeur/&AMk-t&AOk-")
        (envelope, _) = other.command(b"FETCH 1 ENVELOPE")
        assert b'"=?utf-8?b?UmXDp3U=?="' in envelope


def test_imapclient_turns_rev2_on(server):
    """IMAP4rev2: a library enables it and goes on; ESEARCH, LIST and no RECENT are on the wire."""
    deliver(server, "dave", 1, 2)
    where = server.address("imaps")
    with imapclient.IMAPClient(where.host, where.port, ssl_context=trusted(server)) as client:
        client.login("dave", PASSWORD)
        assert b"IMAP4REV2" in client.capabilities()
        assert client.enable("IMAP4rev2") == [b"IMAP4rev2"]
        client.create_folder("Ete")
        assert [name for *_, name in client.list_folders()] == ["Ete", "INBOX", "Trash"]
        selected = client.select_folder("inbox")
        assert selected[b"EXISTS"] == 2
        assert b"RECENT" not in selected
        assert b"\\Recent" not in client.fetch("1:*", ["FLAGS"])[1][b"FLAGS"]
        client.move([1], "Ete")
        assert client.folder_status("Ete", ["MESSAGES", "DELETED"]) == {
            b"MESSAGES": 1,
            b"DELETED": 0,
        }
    with ImapWire(server, "dave", PASSWORD) as wire:
        wire.command(b"ENABLE IMAP4rev2")
        wire.command('CREATE "Été"'.encode())
        (line, _) = wire.command('LIST "" "É*"'.encode())
        assert line == '* LIST (\\HasNoChildren) "/" "Été"\r\n'.encode()
        told = wire.command(b"SELECT INBOX")
        assert b'* LIST (\\HasNoChildren) "/" INBOX\r\n' in told
        (found, _) = wire.command(b"UID SEARCH UNSEEN")
        assert found == b'* ESEARCH (TAG "t6") UID ALL 2\r\n'


def test_an_attachment_comes_decoded(server):
    """BINARY: what the server decodes is what a client decodes, NUL and all."""
    sound = random.Random(3).randbytes(3_000_000)
    head = b"Content-Type: audio/mpeg\r\nContent-Transfer-Encoding: "
    encoded = head + b"base64\r\n\r\n" + base64.encodebytes(sound).replace(b"\n", b"\r\n")
    plain = head + b"binary\r\n\r\n" + sound
    with ImapWire(server, "carol", PASSWORD) as client:
        form = b"APPEND INBOX " + literal(encoded) + b" ~" + literal(plain)
        assert b" 1:2] " in client.command(form)[-1]
        client.command(b"SELECT INBOX")
        answers = client.command(b"FETCH 1:2 (BINARY.SIZE[1] BINARY.PEEK[1])")
        for answer in answers[:2]:
            assert b"BINARY.SIZE[1] 3000000 BINARY[1] ~{3000000}\r\n" + sound + b")" in answer
        (told, *_) = client.command(b"FETCH 2 BODY.PEEK[1]")
        assert base64.b64decode(told.partition(b"\r\n")[2].rpartition(b")")[0]) == sound


def test_a_draft_is_replaced_in_one_step(server):
    """REPLACE: the neighbour sees the new draft come and the old one go, and no moment without."""
    with (
        ImapWire(server, "alice", PASSWORD) as client,
        ImapWire(server, "alice", PASSWORD) as other,
    ):
        client.command(b"CREATE Drafts")
        client.command(b"APPEND Drafts (\\Draft) " + literal(b"Subject: one\r\n\r\n"))
        for session in (client, other):
            session.command(b"SELECT Drafts")
        form = b"UID REPLACE 1 Drafts (\\Draft) " + literal(b"Subject: two\r\n\r\n")
        told = client.command(form)
        assert told[0].startswith(b"* OK [APPENDUID ")
        assert told[1:3] == [b"* 1 EXPUNGE\r\n", b"* 1 EXISTS\r\n"]
        assert other.command(b"NOOP")[:2] == told[1:3]
        (subject, _) = other.command(b"FETCH 1 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert subject.startswith(b"* 1 FETCH (UID 2 ")
        assert b"Subject: two" in subject


def test_an_attachment_is_sent_on_without_fetching_it(server):
    """CATENATE: a new text with the old attachment, octet for octet."""
    sound = base64.encodebytes(random.Random(5).randbytes(2_000_000)).replace(b"\n", b"\r\n")
    head = b"Subject: Fwd\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nSee this.\r\n--q\r\n"
    part = b"Content-Type: audio/mpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n" + sound
    whole = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n" + part + b"\r\n--q--\r\n"
    with ImapWire(server, "bob", PASSWORD) as client:
        client.command(b"APPEND INBOX " + literal(whole))
        form = b"APPEND INBOX CATENATE (TEXT %b URL %b URL %b TEXT %b)" % (
            literal(head),
            b'"/INBOX/;UID=1/;SECTION=1.MIME"',
            b'"/INBOX/;UID=1/;SECTION=1"',
            literal(b"\r\n--q--\r\n"),
        )
        client.command(form)
        client.command(b"SELECT INBOX")
        (told, _) = client.command(b"FETCH 2 BODY.PEEK[]")
        assert told.partition(b"\r\n")[2].removesuffix(b")\r\n") == head + part + b"\r\n--q--\r\n"
        assert b"\\Seen" not in client.command(b"FETCH 1 FLAGS")[0]


def test_a_silent_client_hears_of_all_mailboxes(server):
    """NOTIFY: no IDLE and no command; mail from outside, another session, the command line's notes."""
    with (
        ImapWire(server, "dave", PASSWORD) as client,
        ImapWire(server, "dave", PASSWORD) as other,
    ):
        other.command(b"CREATE Work")
        wanted = b"(MessageNew MessageExpunge FlagChange MailboxName)"
        client.command(b"NOTIFY SET (personal " + wanted + b")")
        (before, _) = other.command(b"STATUS INBOX (MESSAGES UIDNEXT)")
        messages, uidnext = (int(word) for word in re.findall(rb"\d+", before))
        deliver(server, "dave", 7)
        told = client.response()
        assert told.startswith(
            b"* STATUS INBOX (MESSAGES %d UIDNEXT %d UNSEEN " % (messages + 1, uidnext + 1)
        )
        other.command(b"APPEND Work " + literal(b"Subject: x\r\n\r\n"))
        assert client.response() == b"* STATUS Work (MESSAGES 1 UIDNEXT 2 UNSEEN 1)\r\n"
        other.command(b"RENAME Work Play")
        told = client.response()
        assert told == b'* LIST (\\HasNoChildren) "/" Play ("OLDNAME" (Work))\r\n'


def test_notes_are_kept(server):
    """METADATA: what one program notes another finds, in the database and not in memory."""
    value = random.Random(7).randbytes(10_000)
    with ImapWire(server, "carol", PASSWORD) as client:
        client.command(b"SETMETADATA INBOX (/private/comment ~" + literal(value) + b")")
    server.restart()
    with ImapWire(server, "carol", PASSWORD) as client:
        (told, _) = client.command(b"GETMETADATA INBOX /PRIVATE/Comment")
        assert told == b"* METADATA INBOX (/private/comment ~{10000}\r\n" + value + b")\r\n"
        full = b" ".join(b'/private/%d "x"' % number for number in range(99))
        client.command(b"SETMETADATA INBOX (" + full + b")")
        answer = client.command(
            b'SETMETADATA INBOX (/private/comment "y" /private/more "x")', word=b"NO"
        )
        assert answer[-1].split(b" ", 2)[2].startswith(b"[METADATA TOOMANY] ")
        (again, _) = client.command(b"GETMETADATA INBOX /private/comment")
        assert again == told
