"""SEARCH: what is decided early is decided right, and texts are found however they are written."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap_server.candidate import Candidate
from imap_server.search import Question
from imap_server.sieve import (
    BETWEEN,
    LONGEST_OCTETS,
    asks_all_headers,
    may_hold,
    needed_texts,
    piece,
    plain_pieces,
)
from imap_server.wire.parser import parse_command
from imap_server.wire.search import (
    All,
    And,
    BodyContains,
    HasFlag,
    HeaderContains,
    IsRecent,
    Larger,
    Not,
    Or,
    SentDate,
    When,
)
from um.core.ids import AccountId, ContentId, MailboxId, ModSeq, Uid
from um.core.message import Entry, MessageKind
from um.mime.fields import header_end
from um.mime.headers import get
from um.mime.text import Searchable
from um.service.octet_cache import OctetCache

NOW = datetime(2026, 1, 2, 8, 30, tzinfo=UTC)
HEADER = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nDate: Thu, 1 Jan 2026 23:30:00 -0800\r\n"
    b"Received: by one\r\nReceived: by\r\n two\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?= today\r\n\r\n"
)
LEAVES = st.sampled_from(
    [
        All(),
        HasFlag("\\Seen"),
        HasFlag("work"),
        IsRecent(),
        Larger(50),
        HeaderContains("subject", "today"),
        HeaderContains("x-none", ""),
        SentDate(When.ON, date(2026, 1, 1)),
        BodyContains("hello", header=False),
        BodyContains("jürgen", header=True),
        BodyContains("nowhere", header=True),
    ]
)
KEYS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Or, inner, inner)
        | st.lists(inner, max_size=3).map(lambda keys: And(tuple(keys)))
    ),
    max_leaves=12,
)


def candidate(flags=(), *, header=None, text=None, recent=False) -> Candidate:
    entry = Entry(
        mailbox_id=MailboxId("m"),
        uid=Uid(7),
        account_id=AccountId("a"),
        content_id=ContentId("c"),
        kind=MessageKind.MAIL,
        size_octets=100,
        modseq=ModSeq(1),
        flags=frozenset(flags),
        internal_date=datetime(2026, 1, 2, 7, 30, tzinfo=UTC),
        saved_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    known = None if text is None else Searchable(text, 'name="scan.pdf"')
    return Candidate(3, entry, recent, header, known)


def ask(key, message: Candidate) -> bool | None:
    return Question(key, messages=5, largest_uid=9, now=NOW).matches(message)


@given(KEYS, st.sets(st.sampled_from(["\\Seen", "WORK"])), st.booleans())
def test_what_is_decided_early_is_decided_right(key, flags, recent):
    """The index alone, then the header, then the body: an answer never changes, and one comes."""
    known = {"flags": flags, "recent": recent}
    final = ask(key, candidate(header=HEADER, text="Hello, world", **known))
    assert final is not None
    for less in (candidate(**known), candidate(header=HEADER, **known)):
        assert ask(key, less) in (None, final)


@given(KEYS, st.sampled_from(["Hello, world", "Ünïcode", ""]))
def test_what_was_looked_into_is_remembered_right(key, text):
    """With the memory of former searches an answer comes earlier and is the same."""
    memory: OctetCache[ContentId] = OctetCache(10_000)
    final = ask(key, candidate(header=HEADER, text=text))

    def question() -> Question:
        return Question(key, messages=5, largest_uid=9, now=NOW, memory=memory)

    assert question().matches(candidate(header=HEADER, text=text)) == final
    assert question().matches(candidate(header=HEADER, text=text)) == final
    assert question().matches(candidate()) in (None, final)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("FROM jürgen", True),
        ("FROM JÜRGEN", True),
        ("SUBJECT grüsse", True),
        ('HEADER Received "by two"', True),
        ('HEADER Received "by three"', False),
        ('HEADER Subject ""', True),
        ('HEADER X-None ""', False),
        ("TO anyone", False),
        ("TEXT example.org", True),
        ("TEXT WORLD", True),
        ("BODY jürgen", False),
        ("TEXT scan.pdf", True),
        ("BODY scan.pdf", False),
        ("SENTON 1-Jan-2026", True),
        ("SENTSINCE 2-Jan-2026", False),
        ("ON 2-Jan-2026", True),
        ("BEFORE 2-Jan-2026", False),
        ("SINCE 2-Jan-2026", True),
        ("UID 7,9 3", True),
        ("UID *", False),
        ("*", False),
        ("KEYWORD WORK", True),
        ("UNKEYWORD work", False),
        ("LARGER 99 SMALLER 101", True),
        ("LARGER 100", False),
        ("SMALLER 5000000000", True),
        ("NEW", True),
        ("OLD", False),
        ("NOT (SEEN ANSWERED)", True),
    ],
)
def test_keys(line, found):
    command = parse_command([f"a SEARCH CHARSET UTF-8 {line}".encode()]) if line.isascii() else None
    if command is None:
        name, _, text = line.rpartition(" ")
        command = parse_command([f"a SEARCH CHARSET UTF-8 {name} ".encode(), text.encode(), b""])
    message = candidate(["work"], header=HEADER, text="Hello, world", recent=True)
    assert ask(command[2].key, message) is found


@given(st.binary(max_size=200))
def test_any_header_may_be_searched(header):
    """Damaged headers match or do not match; they never fail."""
    message = candidate(header=header, text="")
    for key in (HeaderContains("date", "x"), SentDate(When.ON, date(2026, 1, 1))):
        assert ask(key, message) in (True, False)
    assert ask(BodyContains("x", header=True), message) in (True, False)


HEADER_LINES = st.lists(
    st.sampled_from(
        [
            *(b"Subject: a\r\n", b"subject : b\n", b"X: \r\n", b" folded\r\n", b"junk\r\n"),
            *(b"Sub ject: c\r\n", b":\r\n", b"To:\r\n", b"\xff: x\r\n", b"S", b"\r\n", b"\r"),
        ]
    ),
    max_size=12,
).map(b"".join)


@given(HEADER_LINES, st.sampled_from(["subject", "X", "to", "sub ject", "junk", "", "\xff", "a:b"]))
def test_a_field_is_there_if_it_is_a_field(block, name):
    """What is passed over as no field, or lies behind the header's end, is not found."""
    header = block[: header_end(block, 0, len(block))]
    values = Candidate(1, candidate().entry, recent=False, header=header).field_values(name)
    assert bool(values) == (get(header, name) is not None)


def test_a_year_of_twenty_digits_is_no_date():
    """What a stranger writes into Date stops no search."""
    header = b"Date: 32 Nov 99999999999999999999 10:00:00\r\n\r\n"
    assert ask(SentDate(When.SINCE, date(2026, 1, 1)), candidate(header=header)) is False


SCRAPS = st.one_of(
    st.sampled_from([b"Subject: ", b"From: ", b"X", b"a b", b"Ab", b":", b"=?", b"\xff", b"\x1c"]),
    st.sampled_from([b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0"]),
    st.sampled_from([b"=?utf-8?q?J=C3=BC_b?=", b"=?utf-8?b?YWI=?=", "Grüße".encode()]),
)
BLOCKS = st.lists(SCRAPS, max_size=14).map(b"".join)
SOUGHT = st.sampled_from(
    ["a", "b", "a b", "B A", "ab", "jü", "JÜ B", "grüsse", "xa", " a", "=?", "ÿ"]
)


@given(st.lists(BLOCKS, min_size=1, max_size=4), st.lists(SOUGHT, min_size=1, max_size=2))
def test_the_sieve_rules_out_no_message_that_matches(blocks, sought):
    """Whatever headers hold and wherever they end: what it lets pass is asked, and no more is lost."""
    names = ("subject", "from", "x")
    headers = [block[: header_end(block, 0, len(block))] for block in blocks]
    key = And(tuple(HeaderContains(name, text) for text in sought for name in names[:1]))
    texts = needed_texts(key)
    plain = plain_pieces(headers)
    for pieces in (BETWEEN.join(map(piece, headers)), *([] if plain is None else [plain])):
        hold = may_hold(pieces, texts) or [False] * len(headers)
        assert len(hold) == len(headers)
        for header, may in zip(headers, hold, strict=True):
            for name in names:
                every = And(tuple(HeaderContains(name, text) for text in sought))
                assert may or not ask(every, candidate(header=header))


@pytest.mark.parametrize("ends", [b"\r\n", b"\r", b"\n"])
def test_the_sieve_rules_out_what_it_can(ends):
    """Plain headers and decoded ones without the text; never one that is too long to look through."""
    headers = [b"Subject: number 7\r\n\r\n", b"Subject: =?utf-8?q?n=C3=BCmber_8?=\r\n\r\n"]
    headers += [b"Subject: number" + ends + b" 9\r\n\r\n", b"X: " + b"y" * LONGEST_OCTETS]
    assert plain_pieces(headers) is None
    pieces = BETWEEN.join(map(piece, headers))
    assert may_hold(pieces, needed_texts(HeaderContains("subject", "Number 9"))) == [
        False,
        False,
        True,
        True,
    ]
    assert may_hold(pieces, needed_texts(HeaderContains("subject", "NÜMBER 8"))) == [
        False,
        True,
        False,
        True,
    ]
    assert may_hold(b"".join(map(piece, headers[:1])), [b"nowhere"]) is None


def test_only_texts_that_every_match_has_make_a_sieve():
    """Not those of one alternative, of no field, or of a few messages that are named."""
    subject = HeaderContains("subject", "Today")
    assert needed_texts(subject) == needed_texts(And((HasFlag("x"), subject))) == [b"today"]
    for key in (Not(subject), Or(subject, subject), HeaderContains(" x", "y"), All()):
        assert needed_texts(key) == []
    assert needed_texts(HeaderContains("subject", "")) == []
    assert asks_all_headers(subject)
    assert not asks_all_headers(And((HasFlag("x"), subject)))
