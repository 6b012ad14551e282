"""One's own messages over the API: list, look, save, mark, delete, restore."""

import base64
from datetime import timedelta

import pytest

from tests.support.house import incoming
from tests.support.web_house import WebHouse, check_problem, run
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.mime.build import FaxFacts, VoiceFacts, fax_message, voice_message
from um.service.delivery import Incoming
from um.service.searched_texts import LARGEST, SearchedTexts

MESSAGES = "/api/v1/me/messages"
AUDIO = bytes(range(256)) * 40
PDF = b"%PDF-1.7\n" + b"\0\xff" * 2000


class Mailbox:
    """Alice's, with her browser."""

    def __init__(self) -> None:
        self.web = WebHouse()
        self.account = run(self.web.house.add("alice"))
        self.browser = self.web.logged_in()
        self.count = 0

    def deliver(self, kind: MessageKind, data: bytes, **more: object) -> None:
        self.count += 1
        run(
            self.web.house.delivery.deliver(
                Incoming(self.account.id, kind, data, IngestKey(f"key-{self.count}"), **more)
            )
        )
        self.web.house.clock.advance(1)

    def voice(self, *, caller: str = "Anna", number: str = "+15559870001") -> None:
        facts = VoiceFacts(
            id=f"voice{self.count}",
            domain="um.example.net",
            recipient="alice",
            received_at=self.web.house.clock.now(),
            duration_seconds=42,
            audio=AUDIO,
            caller_number=number,
            caller_name=caller,
        )
        self.deliver(MessageKind.VOICE, voice_message(facts), duration_seconds=42)

    def fax(self) -> None:
        facts = FaxFacts(
            id=f"fax{self.count}",
            domain="um.example.net",
            recipient="alice",
            received_at=self.web.house.clock.now(),
            pages=3,
            pdf=PDF,
            caller_number="+15559870002",
        )
        self.deliver(MessageKind.FAX, fax_message(facts), pages=3)

    def list(self, query: str = "") -> dict:
        answer = self.browser.get(f"{MESSAGES}{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def only(self, query: str = "") -> dict:
        (message,) = self.list(query)["messages"]
        return message


@pytest.fixture
def box():
    return Mailbox()


def test_the_list_tells_what_there_is(box):
    """Kind, caller, time, length or pages, and whether it is unread; the newest first."""
    box.voice()
    box.fax()
    page = box.list()
    assert (page["folder"], page["total"], page["unseen"], page["next"]) == ("INBOX", 2, 2, None)
    fax, voice = page["messages"]
    assert (voice["kind"], voice["sender"], voice["duration_seconds"]) == ("voice", "Anna", 42)
    assert voice["sender_address"] == "+15559870001@um.example.net"
    assert (fax["kind"], fax["pages"], fax["seen"]) == ("fax", 3, False)
    assert box.only("?kind=fax") == fax
    assert box.list("?kind=fax&kind=voice")["total"] == 2
    assert box.list("?kind=invoice")["messages"] == []


def test_pages_neither_repeat_nor_hide_what_moves_meanwhile(box):
    """The cursor names the last message seen; what arrives later is not on a later page."""
    for _ in range(5):
        box.voice()
    first = box.list("?limit=2")
    box.voice()
    box.browser.delete(f"{MESSAGES}/{first['messages'][1]['id']}")
    second = box.list(f"?limit=2&after={first['next']}")
    third = box.list(f"?limit=2&after={second['next']}")
    assert third["next"] is None
    ids = [each["id"] for page in (first, second, third) for each in page["messages"]]
    assert len(ids) == len(set(ids)) == 5
    check_problem(box.browser.get(f"{MESSAGES}?after=x"), 422, "invalid")


@pytest.mark.parametrize(
    ("words", "found"),
    [("anna", 1), ("ANNA", 1), ("5559870001", 1), ("987", 2), ("fax anna", 0), ("caf%C3%A9", 1)],
)
def test_search_looks_at_sender_and_subject(box, words, found):
    """All words, in any case; a number as it is written or without its spaces."""
    box.voice()
    box.voice(caller="Café Übersee", number="+15550000000")
    box.fax()
    assert box.list(f"?search={words}")["total"] == found


LETTER = (
    b"From: Carol <carol@example.org>\r\nSubject: Saturday\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("Die Karten liegen im Büro am Hafen.".encode())
    + b"\r\n--b\r\nContent-Type: application/pdf; name=tickets.pdf\r\nContent-Disposition: attachment; filename*=utf-8''Eintritt%20%C3%BC.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(b"%PDF hidden words")
    + b"\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("hafen", 1),
        ("b%C3%BCro hafen", 1),
        ("carol karten", 1),
        ("saturday HAFEN", 1),
        ("hafen nowhere", 0),
        ("tickets.pdf", 1),
        ("eintritt", 1),
        ("%C3%BC.pdf", 1),
        ("hidden", 0),
        ("base64", 0),
    ],
)
def test_search_looks_at_the_text_too(box, words, found):
    """Decoded; a word here and a word there; what is no text is not searched; once as the second time."""
    box.deliver(MessageKind.MAIL, LETTER)
    box.voice()
    for _ in range(2):
        page = box.list(f"?search={words}")
        assert (page["total"], len(page["messages"])) == (found, found)


def test_search_reads_nothing_of_another_account(box, monkeypatch):
    """Not even a body is looked at; what heading and folder settle costs no body either."""
    other = run(box.web.house.add("bob", "+15551230002"))
    run(
        box.web.house.delivery.deliver(Incoming(other.id, MessageKind.MAIL, LETTER, IngestKey("o")))
    )
    box.deliver(MessageKind.MAIL, LETTER.replace(b"Saturday", b"Sunday"))
    box.voice()
    text, read = box.web.services.mailboxes.text, []

    async def noted(content):
        read.append(content)
        return await text(content)

    monkeypatch.setattr(box.web.services.mailboxes, "text", noted)
    assert box.list("?search=sunday")["total"] == 1
    assert [each.kind for each in read] == [MessageKind.VOICE]
    assert box.list("?search=hafen")["total"] == 1
    assert {each.account_id for each in read} == {box.account.id}
    count = len(read)
    assert box.list("?search=hafen")["total"] == 1
    assert len(read) == count


def test_a_search_looks_into_all_folders_but_trash(box):
    """Each message once with its folder, a page at a time, many of one instant among them."""
    service, clock = box.web.services.mailboxes, box.web.house.clock
    for name in ("Archive", "Archive/Old"):
        run(service.create(box.account.id, name))
    at = clock.now()
    for number in range(9):
        folder = ("INBOX", "Archive", "Archive/Old")[number % 3]
        box.deliver(MessageKind.MAIL, LETTER, mailbox=folder, internal_date=at)
    box.deliver(MessageKind.MAIL, LETTER)
    box.browser.delete(f"{MESSAGES}/{box.list()['messages'][0]['id']}")
    seen, after = [], ""
    while after is not None:
        page = box.list(f"?search=hafen&everywhere=1&limit=2{after and f'&after={after}'}")
        assert (page["folder"], page["total"]) == ("", 9)
        seen += [(each["id"], each["folder"]) for each in page["messages"]]
        after = page["next"]
    assert len(set(seen)) == len(seen) == 9
    assert {folder for _, folder in seen} == {"INBOX", "Archive", "Archive/Old"}
    assert box.list("?search=hafen&folder=Trash")["total"] == 1
    assert box.browser.get(f"{MESSAGES}/{seen[0][0]}").json()["folder"] == seen[0][1]


def test_a_message_whose_body_is_gone_is_found_by_its_heading_only(box):
    """Its blob is missing: that hides no other."""
    box.deliver(MessageKind.MAIL, LETTER)
    box.deliver(MessageKind.MAIL, LETTER.replace(b"Saturday", b"Sunday"))

    async def lose():
        blobs = box.web.house.blobs
        first = min([each async for each in blobs.scan()], key=lambda each: each[2])
        await blobs.delete([first[0]])

    run(lose())
    assert box.list("?search=hafen")["total"] == 1
    assert box.list("?search=carol")["total"] == 2


def test_texts_are_kept_while_there_is_room(box):
    """The least used go; one that is too large is read each time; the answers are the same."""
    texts = SearchedTexts(box.web.services.mailboxes, limit_octets=3000)
    large = b"Subject: L\r\n\r\n" + b"word " * (LARGEST // 4) + b"\r\n"
    for number in range(12):
        box.deliver(MessageKind.MAIL, b"Subject: x\r\n\r\nNumber %d\r\n" % number + b"y" * 500)
    box.deliver(MessageKind.MAIL, large)

    async def story():
        mailboxes = box.web.services.mailboxes
        snapshot = await mailboxes.open(box.account.id, "INBOX")
        contents = list((await mailboxes.contents(snapshot.entries)).values())
        for _ in range(2):
            found = await texts.of(contents)
            assert sum("number" in each for each in found) == 12
            assert sum("word word" in each for each in found) == 1
            assert texts.used_octets <= 3000

    run(story())


def test_a_message_is_opened_with_its_documents(box):
    """Text and parts; opening alone leaves it unread."""
    box.voice()
    told = box.browser.get(f"{MESSAGES}/{box.only()['id']}").json()
    assert told["folder"] == "INBOX"
    assert "Anna" in told["text"]
    (part,) = told["parts"]
    assert (part["media_type"], part["size_octets"]) == ("audio/mpeg", len(AUDIO))
    assert part["filename"].endswith(".mp3")
    assert not box.only()["seen"]


def test_a_recording_is_played_from_anywhere(box):
    """RFC 9110 §14: ranges from, to and of the end; none that is not there."""
    box.voice()
    message = box.only()["id"]
    url = f"{MESSAGES}/{message}/parts/2"
    whole = box.browser.get(url)
    assert (whole.status_code, whole.content) == (200, AUDIO)
    assert whole.headers["content-type"] == "audio/mpeg"
    assert whole.headers["content-disposition"].startswith('attachment; filename="voice-')
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in whole.headers["content-security-policy"]
    size = len(AUDIO)
    for wanted, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10_000, size),
        ("bytes=-40", size - 40, size),
        (f"bytes=100-{10**14}", 100, size),
    ):
        answer = box.browser.get(url, headers={"range": wanted})
        assert (answer.status_code, answer.content) == (206, AUDIO[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for wanted in (f"bytes={size}-", "bytes=9-3", "bytes=-0"):
        answer = box.browser.get(url, headers={"range": wanted})
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
    for odd in ("bytes=0-1,5-6", "bytes=-", "lines=0-1", "bytes=x"):
        assert box.browser.get(url, headers={"range": odd}).content == AUDIO
    tag = {"range": "bytes=0-9", "if-range": whole.headers["etag"]}
    assert box.browser.get(url, headers=tag).status_code == 206
    assert box.browser.get(url, headers=tag | {"if-range": '"other"'}).status_code == 200
    again = box.browser.get(url, headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    check_problem(box.browser.get(f"{MESSAGES}/{message}/parts/7"), 404, "not-found")


def test_a_fax_and_the_message_itself_are_saved(box):
    """The PDF as it came, and the octets that IMAP shows."""
    box.fax()
    message = box.only()["id"]
    pdf = box.browser.get(f"{MESSAGES}/{message}/parts/2")
    assert (pdf.content, pdf.headers["content-type"]) == (PDF, "application/pdf")
    raw = box.browser.get(f"{MESSAGES}/{message}/raw")
    assert raw.headers["content-type"] == "message/rfc822"
    assert raw.headers["content-disposition"].startswith('attachment; filename="fax-')
    assert base64.b64encode(PDF[:57]) in raw.content


def test_what_a_stranger_attached_is_only_octets(box):
    """No HTML of a mail is ever an HTML page of ours; names cannot end a header."""
    mail = (
        b'From: "<img src=x onerror=alert(1)>" <a@example.org>\r\nSubject: =?utf-8?q?a=0D=0Ab?=\r\n'
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: text/html\r\nContent-Disposition: attachment;\r\n"
        b" filename*=utf-8''x%0D%0ASet-Cookie%3A%20a%22.html\r\n\r\n<script>alert(1)</script>\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
    )
    box.deliver(MessageKind.MAIL, mail)
    message = box.only()
    assert message["sender"] == "<img src=x onerror=alert(1)>"
    assert "\r" not in message["subject"]
    told = box.browser.get(f"{MESSAGES}/{message['id']}").json()
    assert told["text"] == "hello"
    answer = box.browser.get(f"{MESSAGES}/{message['id']}/parts/{told['parts'][0]['number']}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].count('"') == 2


def test_read_and_unread(box):
    box.voice()
    url = f"{MESSAGES}/{box.only()['id']}"
    assert box.browser.patch(url, json={"seen": True}).json()["seen"]
    assert box.list()["unseen"] == 0
    assert not box.browser.patch(url, json={"seen": False}).json()["seen"]
    check_problem(box.browser.patch(url, json={"flags": []}), 422, "invalid")


def test_deleted_restored_and_gone_for_good(box):
    """DELETE moves into Trash, from where it comes back; in Trash it is final."""
    box.voice()
    first = box.only()["id"]
    moved = box.browser.delete(f"{MESSAGES}/{first}").json()
    assert moved["folder"] == "Trash"
    check_problem(box.browser.delete(f"{MESSAGES}/{first}"), 404, "not-found")
    trashed = box.only("?folder=Trash")
    assert (trashed["id"], trashed["trashed_at"] is None) == (moved["id"], False)
    back = box.browser.post(f"{MESSAGES}/{moved['id']}/restore").json()
    assert back["folder"] == "INBOX"
    again = box.browser.delete(f"{MESSAGES}/{back['id']}").json()["id"]
    assert box.browser.delete(f"{MESSAGES}/{again}").status_code == 204
    assert box.list("?folder=Trash")["total"] == 0
    check_problem(box.browser.post(f"{MESSAGES}/{again}/restore"), 410, "gone")
    folders = {
        each["name"]: each["messages"] for each in box.browser.get("/api/v1/me/folders").json()
    }
    assert folders == {"INBOX": 0, "Trash": 0}


def test_a_suspended_account_reads_and_changes_nothing(box):
    """The bill can be seen and saved; every change is refused with the reason."""
    box.voice()
    url = f"{MESSAGES}/{box.only()['id']}"
    run(box.web.house.accounts.suspend("alice", reason="unpaid"))
    assert box.browser.get(f"{url}/parts/2").content == AUDIO
    for answer in (
        box.browser.delete(url),
        box.browser.patch(url, json={"seen": True}),
        box.browser.post(f"{url}/restore"),
        box.browser.patch("/api/v1/me", json={"voicemail": False}),
        box.browser.put("/api/v1/me/greetings/busy", content=b"RIFF"),
    ):
        assert "unpaid" in check_problem(answer, 403, "read-only")["detail"]
    assert not box.only()["seen"]


@pytest.mark.parametrize(
    "message",
    ["1", "0" * 32, f"{'0' * 32}-0", f"{'g' * 32}-1", f"{'0' * 32}-1%00", f"{'0' * 32}-01"],
)
def test_what_is_no_id_is_refused(box, message):
    for path in (message, f"{message}/raw", f"{message}/parts/1"):
        answer = box.browser.get(f"{MESSAGES}/{path}")
        assert answer.status_code in (404, 422)
    check_problem(box.browser.get(f"{MESSAGES}/{'0' * 32}-{2**32}"), 404, "not-found")


@pytest.mark.parametrize("folder", ["Nothing", "%00", "%ff", "a/../b", "*", "x" * 255, "%ED%A0%80"])
def test_a_folder_that_is_not_there(box, folder):
    check_problem(box.browser.get(f"{MESSAGES}?folder={folder}"), 404, "not-found")


def test_a_thousand_messages_are_looked_at_a_page_at_a_time(box):
    """Only the messages of the page are read from the store."""
    for count in range(30):
        run(box.web.house.delivery.deliver(incoming(box.account, f"m{count}")))
        box.web.house.clock.advance(timedelta(seconds=1).total_seconds())
    asked: list[int] = []
    mailboxes = box.web.services.mailboxes
    contents = mailboxes.contents

    async def noted(entries):
        asked.append(len(entries))
        return await contents(entries)

    mailboxes.contents = noted
    assert len(box.list("?limit=10")["messages"]) == 10
    assert asked == [10]
