"""The same mail in our mailbox and in Dovecot's: every answer is the same, or its quirk has a name.

`QUIRKS` says which answers differ, by the headings of `docs/quirks.md`, which say why. A difference
that is not there fails; so does one that is there and is not met any more.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.awkward_mail import MAIL, TEXT
from tests.support.dovecot import Dovecot
from tests.support.imap_values import Answer, Values
from tests.support.inbox import PASSWORD
from tests.support.server import PROJECT, Server

pytestmark = pytest.mark.slow
NAMES = list(MAIL)
ITEMS = ("RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE")
PARTIALS = ("", "<0.10>", "<5.100>", "<0.1>", "<99999999.5>")
FIELDS = (
    "HEADER.FIELDS (SUBJECT FROM)",
    "HEADER.FIELDS.NOT (DATE X-NONE)",
    "HEADER.FIELDS (X-NONE)",
)
STRANGE = ("99", "1.99", "1.1.1.1.1", "99.MIME", "2.HEADER")
MANY = 40
"""Of more parts than this only some are looked into."""

Difference = tuple[str, str]
"""What was asked, and the message (of SORT and THREAD: empty)."""


def structure(*names: str) -> set[Difference]:
    """Both forms of a structure differ."""
    return {(item, name) for item in ("BODY", "BODYSTRUCTURE") for name in names}


def section(name: str, *sections: str) -> set[Difference]:
    """These sections of a message differ."""
    return {(f"BODY[{each}]", name) for each in sections}


def decoded(name: str, path: str) -> set[Difference]:
    """This part of a message differs when it is decoded."""
    return {(f"BINARY[{path}]", name)}


def search(key: str, *names: str) -> set[Difference]:
    """These messages are found by one of the two only."""
    return {(f"SEARCH {key}", name) for name in names}


UNDATED = (
    "no empty line",
    "header ends in LF",
    "no header",
    "one empty line",
    "NUL and 8-bit",
    "Latin-1 header",
    "no date",
    "odd date",
    "two from",
)
ENCLOSING = ("digest", "enclosed message", "enclosed multipart", "message in message")
WITH_BOB = tuple(
    name for name, raw in MAIL.items() if raw.startswith(b"From: Bob Example <bob@example.org>")
)
BROKEN_TYPES = ("type without value", "type without subtype")
QUIRKS: dict[str, set[Difference]] = {
    "8-bit header fields": structure("8-bit name")
    | {("ENVELOPE", "UTF-8 header"), ("ENVELOPE", "Latin-1 header")},
    "A type that is none": structure(*BROKEN_TYPES)
    | {
        difference
        for key in ("BODY hello", "BODY HELLO", "TEXT hello")
        for difference in search(key, *BROKEN_TYPES)
    },
    "A multipart without boundary": structure("no boundary")
    | section("no boundary", "1", "1.MIME")
    | decoded("no boundary", "1"),
    "More than 200 parts": structure("500 parts")
    | section("500 parts", "500", "500.MIME")
    | decoded("500 parts", "200")
    | decoded("500 parts", "500")
    | search("BODY epilogue", "500 parts")
    | search("BODY text/plain", "500 parts")
    | search("BODY Content-Type", "500 parts")
    | search("TEXT epilogue", "500 parts"),
    "BINARY of what has parts": decoded("voice", ""),
    "Unquoted parameters": structure("unquoted name"),
    "A parameter without value": structure("parameter without value"),
    "Encodings": structure("encoding without MIME-Version")
    | search("BODY hello", "odd encoding")
    | search("BODY HELLO", "odd encoding")
    | search("TEXT hello", "odd encoding"),
    "Broken addresses": {
        ("ENVELOPE", "broken addresses"),
        ("SORT (CC)", ""),
        ("SORT (CC SUBJECT)", ""),
    }
    | search("CC ann", "broken addresses")
    | search("CC ,", "broken addresses"),
    "The empty line after chosen fields": section("no empty line", *FIELDS[:2])
    | section("header ends in LF", FIELDS[1]),
    "The header of an empty part": section("part of nothing", "1.MIME"),
    "Text in no charset": {
        ("SORT (SUBJECT)", ""),
        ("SORT (REVERSE SUBJECT FROM)", ""),
        ("SORT (SUBJECT REVERSE SIZE)", ""),
    }
    | search("SUBJECT grüße", "Latin-1 header")
    | search("FROM Jürgen", "Latin-1 header")
    | search("TEXT Jürgen", "Latin-1 header"),
    "Case": search("SUBJECT GrÜẞE", "UTF-8 header", "Latin-1 header", "encoded words")
    | search("SUBJECT GRÜSSE", "UTF-8 header", "Latin-1 header", "encoded words"),
    "A name with its address": search("FROM Bob Example <bob@example.org>", *WITH_BOB),
    "The header of a message within": search("BODY inside", *ENCLOSING)
    | search("BODY carol@example.net", *ENCLOSING)
    | search("BODY Content-Type", "enclosed multipart", "message in message"),
    "A date that is none": search("SENTBEFORE 4-Mar-2026", *UNDATED)
    | search("SENTBEFORE 5-Mar-2026", *UNDATED),
}
SEARCHES = """
ALL | SUBJECT plain | SUBJECT PLAIN | SUBJECT "" | SUBJECT grüße | SUBJECT GrÜẞE | SUBJECT GRÜSSE
SUBJECT Köln | SUBJECT into three | SUBJECT folded into | SUBJECT second | SUBJECT say "hi"
SUBJECT word word word | SUBJECT spaced | FROM bob | FROM bob example | FROM <bob@example.org>
FROM Bob Example <bob@example.org> | FROM example.org | FROM Jürgen | FROM "" | TO alice
TO alice@um.example.net | CC Jürgen | CC jurgen | CC ann | CC Friends | CC Ben <ben@example.org>
CC , | BCC undisclosed | BCC "" | HEADER Subject reply | HEADER Message-ID plain@example.org
HEADER References plain@example.org | HEADER References "" | HEADER X-After seen
HEADER X-After "" | HEADER X-None "" | HEADER Content-Type multipart
HEADER Content-Type alternative; boundary | HEADER Content-Disposition filename
HEADER Date 12:00:00 | HEADER Reply-To back | HEADER Sender out | BODY hello | BODY HELLO
BODY grüße | BODY und mehr | BODY caf | BODY <p>ä</p> | BODY ä</p> | BODY preamble | BODY epilogue
BODY inside | BODY carol@example.net | BODY Deep | BODY text/plain | BODY Content-Type
BODY JVBERg | BODY %PDF | BODY voice | BODY Reporting-MTA | BODY plain@example.org | TEXT hello
TEXT plain | TEXT Jürgen | TEXT Grüße aus Köln | TEXT inside | TEXT multipart/mixed
TEXT Content-Type: text | TEXT epilogue | TEXT a.pdf | SENTBEFORE 4-Mar-2026
SENTBEFORE 5-Mar-2026 | SENTON 4-Mar-2026 | SENTON 1-Mar-2026 | SENTON 2-Mar-2026
SENTSINCE 4-Mar-2026 | SENTSINCE 1-Jan-2020 | BEFORE 2-Feb-2026 | ON 2-Feb-2026
SINCE 2-Feb-2026 | LARGER 1000 | SMALLER 200 | LARGER 300 SMALLER 400 | SEEN | UNSEEN | FLAGGED
ANSWERED | KEYWORD $Invoice | UNKEYWORD $Invoice | DRAFT | DELETED | OR SEEN FLAGGED
OR (SEEN SMALLER 250) FLAGGED | NOT SEEN | NOT (SEEN FLAGGED) | 2:9 SEEN | UID 5:* UNSEEN | NOT 1:70
* | 1,3,5:7 | UID 90:* | OLDER 3600 | 9999 | 2:9999 SEEN | NOT 50:9999
"""
TEXT_KEYS = re.compile(r"((?:SUBJECT|FROM|TO|CC|BCC|BODY|TEXT|HEADER \S+) )(.*)")
SORTS = (
    "ARRIVAL",
    "REVERSE ARRIVAL",
    "DATE",
    "REVERSE DATE",
    "SIZE",
    "SUBJECT",
    "FROM",
    "TO",
    "CC",
    "REVERSE SUBJECT FROM",
    "SUBJECT REVERSE SIZE",
    "CC SUBJECT",
)


@dataclass(frozen=True, slots=True)
class Both:
    """A connection to each."""

    ours: Values
    theirs: Values
    where: tuple[str, int]
    """Of the server."""

    def ask(self, command: bytes) -> tuple[Answer, Answer]:
        return self.ours.ask(command), self.theirs.ask(command)

    def must(self, command: bytes) -> tuple[Answer, Answer]:
        return self.ours.must(command), self.theirs.must(command)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with Server(tmp_path_factory.mktemp("um")) as server, Dovecot() as theirs:
        server.add_account("alice", password=PASSWORD)
        where = server.address("imaps")
        with Values.over_tls(where.host, where.port) as ours:
            ours.must(f'LOGIN alice "{PASSWORD}"'.encode())
            for day, raw in enumerate(MAIL.values()):
                when = f'"{day // 4 + 1:2}-Feb-2026 10:00:00 +0000" '.encode()
                for connection in (ours, theirs):
                    connection.append(raw, extra=when)
            both = Both(ours, theirs, (where.host, where.port))
            both.must(b"SELECT INBOX")
            both.must(b"STORE 1,5,9:12 +FLAGS.SILENT (\\Seen)")
            both.must(b"STORE 2,5 +FLAGS.SILENT (\\Flagged $Invoice)")
            both.must(b"STORE 3 +FLAGS.SILENT (\\Answered \\Draft \\Deleted)")
            yield both


def explained(*beginnings: str) -> set[Difference]:
    """What may differ of the questions that begin so."""
    return {
        difference
        for differences in QUIRKS.values()
        for difference in differences
        if difference[0].startswith(beginnings)
    }


def test_quirks_are_explained() -> None:
    """Each name is a heading of the document, and each heading is a name."""
    text = (PROJECT / "docs" / "quirks.md").read_text()
    headings = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted([*QUIRKS, "NIL and the empty string"])


def test_what_stands_in_the_index(both: Both) -> None:
    """Sizes, envelopes and structures."""
    ours, theirs = both.must(b"FETCH 1:* (RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)")
    mine, others = ours.fetched(), theirs.fetched()
    assert len(mine) == len(MAIL)
    differences = {
        (item, name)
        for number, name in enumerate(NAMES, 1)
        for item in ITEMS
        if mine[number][item] != others[number][item]
    }
    assert differences == explained(*ITEMS) - explained("BODY[")


def test_what_is_told_to_clients_that_take_utf8(both: Both) -> None:
    """Who enables UTF8=ACCEPT is told header fields as they are, and so is Dovecot's client."""
    with Values.over_tls(*both.where) as ours:
        ours.must(f'LOGIN alice "{PASSWORD}"'.encode())
        ours.must(b"ENABLE UTF8=ACCEPT")
        ours.must(b"EXAMINE INBOX")
        for name, item in (("UTF-8 header", "ENVELOPE"), ("8-bit name", "BODYSTRUCTURE")):
            number = NAMES.index(name) + 1
            command = f"FETCH {number} {item}".encode()
            mine, others = (each.must(command).fetched() for each in (ours, both.theirs))
            assert mine[number][item] == others[number][item]


def paths(body: list[Any], above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The paths of all parts in a BODY value (RFC 3501 §6.4.5)."""
    if isinstance(body[0], list):
        for number, child in enumerate((each for each in body if isinstance(each, list)), 1):
            yield (*above, number)
            yield from paths(child, (*above, number))
        return
    yield above or (1,)
    if body[0].lower() == b"message" and body[1].lower() == b"rfc822":
        inside = body[8]
        yield from paths(inside, above or (1,))
        if not isinstance(inside[0], list):
            yield (*(above or (1,)), 1)


def sections(body: list[Any]) -> list[str]:
    """What can be asked for of a message, and some things that cannot."""
    found = sorted(set(paths(body)))
    if len(found) > MANY:
        found = [*found[:3], found[149], found[-1]]
    asked = ["", "HEADER", "TEXT", *FIELDS, "1", "1.MIME", *STRANGE]
    for path in (".".join(map(str, each)) for each in found):
        asked += [path, *(f"{path}.{part}" for part in ("MIME", "HEADER", "TEXT", FIELDS[0]))]
    return list(dict.fromkeys(asked))


def test_every_section(both: Both) -> None:
    """Header, text, fields and parts of every message, whole and in pieces."""
    structures = both.theirs.must(b"FETCH 1:* BODY").fetched()
    differences: set[Difference] = set()
    asked = 0
    for number, name in enumerate(NAMES, 1):
        for wanted in sections(structures[number]["BODY"]):
            for partial in PARTIALS:
                command = f"FETCH {number} BODY.PEEK[{wanted}]{partial}".encode()
                mine, others = (fetched(answer) for answer in both.ask(command))
                asked += 1
                if mine != others:
                    differences.add((f"BODY[{wanted}]", name))
    assert differences == explained("BODY[")
    assert asked > 4000


def leaves(body: list[Any], above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """The paths of the parts that have an encoding of their own."""
    if isinstance(body[0], list):
        for number, child in enumerate((each for each in body if isinstance(each, list)), 1):
            yield from leaves(child, (*above, number))
    elif body[0].lower() == b"message" and body[1].lower() == b"rfc822":
        inside, path = body[8], above or (1,)
        yield from leaves(inside, path if isinstance(inside[0], list) else (*path, 1))
    else:
        yield above or (1,)


def test_decoded_parts(both: Both) -> None:
    """BINARY and BINARY.SIZE of every part that has an encoding, whole and in pieces."""
    structures = both.theirs.must(b"FETCH 1:* BODY").fetched()
    differences: set[Difference] = set()
    for number, name in enumerate(NAMES, 1):
        found = list(leaves(structures[number]["BODY"]))
        asked = [*found[:3], *found[199:200], found[-1]] if len(found) > MANY else found
        for path in (
            ".".join(map(str, each)) for each in [*asked, *([()] if name == "voice" else ())]
        ):
            for item in (
                f"BINARY.PEEK[{path}]",
                f"BINARY.SIZE[{path}]",
                f"BINARY.PEEK[{path}]<1.5>",
            ):
                mine, others = both.ask(f"FETCH {number} {item}".encode())
                alike = mine.word == others.word == "NO" or fetched(mine) == fetched(others)
                differences |= set() if alike else {(f"BINARY[{path}]", name)}
    assert differences == explained("BINARY[")


def fetched(answer: Answer) -> Any:
    """The word, and the octets or nothing: NIL and the empty string are alike here."""
    line = next((line[2] for line in answer.lines if line[1:2] == ["FETCH"]), [])
    return answer.word, [value or b"" for value in line]


def found(answer: Answer) -> set[str]:
    """The messages that a SEARCH named."""
    assert answer.word == "OK", answer
    (numbers,) = (line[1:] for line in answer.lines if line[:1] == ["SEARCH"])
    return {NAMES[int(number) - 1] for number in numbers}


def test_searches(both: Both) -> None:
    """Each key that looks at a message, and how keys are joined."""
    keys = re.split(r" \| |\n", SEARCHES.strip())
    assert len(keys) > 80
    differences: set[Difference] = set()
    for key in keys:
        asked = f"SEARCH CHARSET UTF-8 {key}".encode()
        if (match := TEXT_KEYS.fullmatch(key)) and match[2] != '""':
            asked = b"SEARCH CHARSET UTF-8 %b{%d+}\r\n%b" % (
                match[1].encode(),
                len(match[2].encode()),
                match[2].encode(),
            )
        mine, others = (found(answer) for answer in both.ask(asked))
        differences |= search(key, *(mine ^ others))
    assert differences == explained("SEARCH")


def test_sorts(both: Both) -> None:
    """Each criterion, upwards and downwards, and one behind another."""
    differences: set[Difference] = set()
    for keys in SORTS:
        mine, others = (
            [line for line in answer.lines if line[0] == "SORT"]
            for answer in both.must(f"SORT ({keys}) UTF-8 ALL".encode())
        )
        assert len(mine[0]) == len(MAIL) + 1
        if mine != others:
            differences.add((f"SORT ({keys})", ""))
    assert differences == explained("SORT")


@pytest.mark.parametrize("algorithm", ["ORDEREDSUBJECT", "REFERENCES"])
def test_threads(both: Both, algorithm: str) -> None:
    """Conversations, with nothing to explain."""
    mine, others = (
        [line for line in answer.lines if line[0] == "THREAD"]
        for answer in both.must(f"THREAD {algorithm} UTF-8 ALL".encode())
    )
    assert len(mine[0]) > 10
    assert mine == others


def test_the_corpus_is_awkward() -> None:
    """The cases that mail programs stumble over are in it."""
    assert MAIL["500 parts"].count(TEXT.encode()) == 500
    assert len(MAIL) > 70
    assert any(b"filename*0*=" in raw for raw in MAIL.values())
