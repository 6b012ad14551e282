"""The wire: names, sets, patterns, dates, grammar."""

import contextlib
import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imap_server.listing import Pattern, list_mailboxes, list_subscribed
from imap_server.wire import commands as c
from imap_server.wire import responses, utf7
from imap_server.wire.dates import format_date_time, parse_date, parse_date_time
from imap_server.wire.fetch import Attribute, Section
from imap_server.wire.names import canonical, mailbox
from imap_server.wire.parser import GRAMMAR, parse_command, parse_short
from imap_server.wire.search import And, BodyContains, HasFlag, Not, Numbers, Or, Result
from imap_server.wire.sequence import LARGEST, SequenceSet, compress, contains, merge
from imap_server.wire.tokens import BadCommandError, Scanner
from imap_server.wire.url import InvalidUrlError, parse_url
from um.core.message import FlagOperation

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=255)
NUMBERS = st.integers(1, 60)
SETS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1).map(
    lambda ranges: SequenceSet(tuple(ranges))
)


def parsed(*parts: bytes) -> c.Command:
    return parse_command(parts)[2]


@given(NAMES, st.booleans())
def test_a_name_is_read_as_it_was_told(name, utf8):
    """A name goes out and comes back as the same one, in modified UTF-7 and in UTF-8."""
    written = responses.mailbox(name, utf8=utf8)
    parts = [written]
    if written.startswith(b"{"):
        parts = [b"", written.partition(b"\r\n")[2], b""]
    scan = Scanner(parts, utf8=utf8)
    assert mailbox(scan) == canonical(name)
    scan.end()


@given(TEXT)
def test_a_mailbox_name_survives_modified_utf7(name):
    """Encoding then decoding is the identity, and the wire sees printable US-ASCII only."""
    wire = utf7.encode(name)
    assert utf7.decode(wire) == name
    assert re.fullmatch(rb"[\x20-\x7e]*", wire)


@given(st.binary())
def test_only_one_spelling_of_a_name_is_taken(wire):
    """No two spellings on the wire mean one mailbox (RFC 3501 §5.1.3)."""
    try:
        name = utf7.decode(wire)
    except ValueError:
        return
    assert utf7.encode(name) == wire


def test_the_example_of_the_rfc():
    assert utf7.encode("~peter/mail/台北/日本語") == b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"
    assert utf7.encode("a&b") == b"a&-b"
    for wrong in (b"&Jjo!", b"&U,BTFw-&ZeVnLIqe-", b"&", b"a&AGE-", b"\xff", b"&2D0-"):
        with pytest.raises(ValueError):
            utf7.decode(wrong)


@given(st.lists(NUMBERS, unique=True).map(sorted))
def test_a_set_is_written_and_read_back(numbers):
    """Compress then parse names the same numbers, with as few ranges as there are runs."""
    written = compress(numbers)
    if numbers:
        assert Scanner([written]).sequence_set().select(range(1, 61)) == numbers
    else:
        assert written == b""


@given(SETS, st.lists(NUMBERS, unique=True).map(sorted))
def test_a_set_selects_what_it_names(messages, numbers):
    """Ends may be swapped, ranges overlap, `*` is the largest: as a naive reading has it."""
    largest = numbers[-1] if numbers else 0
    naive = {
        number
        for number in numbers
        for first, last in messages.ranges
        if min(first or largest, last or largest)
        <= number
        <= max(first or largest, last or largest)
    }
    found = messages.select(numbers)
    assert found == sorted(naive)
    ranges = messages.resolve(largest)
    assert ranges == merge(ranges)
    assert all(contains(ranges, number) is (number in naive) for number in numbers)


def test_a_huge_range_costs_nothing():
    messages = Scanner([b"1:4294967295"]).sequence_set()
    assert messages.select([7, 9]) == [7, 9]
    assert messages.resolve(9) == [(1, LARGEST)]
    assert messages.names_more_than(9)
    assert Scanner([b"*"]).sequence_set().names_more_than(0)


NAMES = st.text("ab/", max_size=8)


@given(st.text("ab/*%", max_size=8), NAMES)
def test_a_pattern_matches_as_its_regular_expression_does(pattern, name):
    """`*` is anything, `%` anything but the delimiter (RFC 3501 §6.3.8)."""
    translated = re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*")
    assert Pattern(pattern).matches(name) is (re.fullmatch(translated, name) is not None)


def test_a_pattern_made_to_be_slow_is_not():
    assert not Pattern("*a" * 120 + "b").matches("a" * 255)
    assert Pattern("%" * 10_000).matches("abc")


def test_list_and_lsub_over_nothing():
    assert list_mailboxes([], "", ["*"]) == []
    assert list_subscribed([], [], "", "%") == []


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_a_date_time_is_written_and_read_back(instant):
    whole = instant.replace(microsecond=0)
    assert parse_date_time(format_date_time(whole).strip(b'"')) == whole


def test_dates():
    assert parse_date(b"1-feb-1994") == date(1994, 2, 1)
    assert parse_date_time(b" 1-Feb-1994 10:00:00 -0800") == datetime(1994, 2, 1, 18, tzinfo=UTC)
    for wrong in (b"1-Foo-1994", b"31-Feb-1994", b"1994-02-01", b""):
        with pytest.raises(BadCommandError):
            parse_date(wrong)
    for wrong in (
        b"01-Feb-1994 25:00:00 +0000",
        b"01-Feb-1994 10:00:00 +9900",
        b"01-Jan-0001 00:00:00 +1200",
    ):
        with pytest.raises(BadCommandError):
            parse_date_time(wrong)


@pytest.mark.parametrize(
    ("parts", "command"),
    [
        ((b"a noop",), c.Noop()),
        ((b'a LOGIN joe "p\\"w\\\\"',), c.Login(b"joe", b'p"w\\')),
        ((b"a LOGIN ", b"joe", b" ", b"pw", b""), c.Login(b"joe", b"pw")),
        ((b"a authenticate plain",), c.Authenticate("PLAIN", None)),
        ((b"a AUTHENTICATE PLAIN =",), c.Authenticate("PLAIN", b"=")),
        ((b"a SELECT inBox",), c.Select("INBOX", read_only=False)),
        ((b"a EXAMINE inbox/Sub",), c.Select("INBOX/Sub", read_only=True)),
        ((b"a CREATE x/",), c.Create("x")),
        ((b'a LIST "" %',), c.List("", ("%",))),
        (
            (b'a LIST () "" (a b) RETURN (Children)',),
            c.List("", ("a", "b"), returned=frozenset({"CHILDREN"}), extended=True),
        ),
        (
            (b'a LIST (SUBSCRIBED) "" * RETURN (STATUS (messages MESSAGES))',),
            c.List(
                "",
                ("*",),
                selection=frozenset({"SUBSCRIBED"}),
                returned=frozenset({"STATUS"}),
                status_items=("MESSAGES",),
                extended=True,
            ),
        ),
        ((b"a CREATE x (USE (\\Sent))",), c.Create("x", ("\\Sent",))),
        ((b"a ENABLE condstore X",), c.Enable(("CONDSTORE", "X"))),
        ((b"a STATUS x (MESSAGES UNSEEN)",), c.Status("x", ("MESSAGES", "UNSEEN"))),
        ((b"a UID EXPUNGE 1,3:*",), c.Expunge(SequenceSet(((1, 1), (3, 0))))),
        (
            (b"a STORE 1 -FLAGS.SILENT \\seen work",),
            c.Store(
                SequenceSet(((1, 1),)),
                FlagOperation.REMOVE,
                ("\\Seen", "work"),
                silent=True,
                by_uid=False,
            ),
        ),
        (
            (b"a UID MOVE 5 Trash",),
            c.Copy(SequenceSet(((5, 5),)), "Trash", move=True, by_uid=True),
        ),
        (
            (b'a FETCH 1 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS.NOT (to "c c")]<0.9>)',),
            None,
        ),
        (
            (b"a SEARCH OR SEEN NOT TEXT x 1:2 (KEYWORD k)",),
            c.Search(
                And(
                    (
                        Or(HasFlag("\\Seen"), Not(BodyContains("x", header=True))),
                        Numbers(SequenceSet(((1, 2),)), by_uid=False),
                        And((HasFlag("k"),)),
                    )
                ),
                by_uid=False,
            ),
        ),
        ((b'a ID ("name" "x" "os" NIL)',), c.Id((("name", "x"), ("os", "")))),
        ((b'a GETQUOTA ""',), c.GetQuota("")),
    ],
)
def test_commands_are_read(parts, command):
    if command is None:
        with pytest.raises(BadCommandError):  # a space is no character of a field name
            parsed(*parts)
    else:
        assert parsed(*parts) == command


def test_fetch_sections_are_read_and_labelled_for_the_response():
    (flags, section, old) = parsed(
        b'a FETCH 1 (flags body.peek[1.2.header.fields (To "Cc")]<7.9> RFC822.HEADER)'
    ).items
    assert flags is Attribute.FLAGS
    assert section == Section(
        b"BODY[1.2.HEADER.FIELDS (To Cc)]<7>",
        path=(1, 2),
        what="HEADER",
        fields=(b"To", b"Cc"),
        start=7,
        count=9,
        peek=True,
    )
    assert old.peek


@pytest.mark.parametrize(
    "line",
    [
        b"a SELECT",
        b"a NOOP ",
        b"a LOGIN x",
        b"a FETCH 1 BODY[MIME]",
        b"a FETCH 1 BODY[0]",
        b"a FETCH 1 BODY[]<0.0>",
        b"a FETCH 1 (ALL)",
        b"a FETCH 1 ()",
        b"a STORE 1 FLAGS (\\Foo)",
        b"a STORE 1 FLAGS.LOUD (x)",
        b"a SEARCH",
        b"a SEARCH ()",
        b"a SEARCH OR SEEN",
        b"a STATUS x ()",
        b'a LIST (COLOUR) "" *',
        b'a SEARCH TEXT "\xff"',
        b"a STORE 1 FLAGS (" + b" ".join([b"x%d" % n for n in range(99)]) + b")",
        b"a FETCH " + b",".join([b"1"] * 10_001) + b" FLAGS",
        b"a SEARCH " + b" ".join([b"SEEN"] * 1001),
    ],
)
def test_what_breaks_the_grammar_is_bad(line):
    with pytest.raises(BadCommandError):
        parsed(line)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"SEARCH CHARSET KOI8-R ALL", c.UnknownCharset(names_charset=True)),
        (
            b"SEARCH RETURN (SAVE) CHARSET KOI8-R TEXT \xf0 (",
            c.UnknownCharset(frozenset({Result.SAVE}), names_charset=True),
        ),
        (
            b"UID SORT RETURN (SAVE) (DATE) KOI8-R ALL",
            c.UnknownCharset(frozenset({Result.SAVE})),
        ),
        (b"THREAD REFERENCES KOI8-R ALL", c.UnknownCharset()),
    ],
)
def test_what_is_asked_in_an_unknown_charset_is_not_bad(line, wanted):
    """Its keys cannot be read, whatever they hold; whether `$` was to be set can."""
    assert parsed(b"a " + line) == wanted


@pytest.mark.parametrize("after", [b"", b" ", b"(", b"()"])
@pytest.mark.parametrize("charset", [b"UTF-8", b"KOI8-R"])
@pytest.mark.parametrize(
    "line", [b"SEARCH RETURN (SAVE) CHARSET %b", b"SORT (DATE) %b", b"UID THREAD REFERENCES %b"]
)
def test_without_keys_any_charset_is_bad(line, charset, after):
    with pytest.raises(BadCommandError):
        parsed(b"a " + line % charset + after)


def test_literals_in_an_unknown_charset_are_left():
    line = [b"a SEARCH CHARSET KOI8-R OR TEXT ", b"\xf0", b" SUBJECT ", b"\xf1", b""]
    assert parsed(*line) == c.UnknownCharset(names_charset=True)


FRAGMENTS = st.sampled_from(
    [
        b" ",
        b"(",
        b")",
        b"1:*",
        b"BODY[",
        b"]",
        b'"',
        b"\\",
        b"NOT ",
        b"x",
        b"<1.2>",
        b"FLAGS",
        b"$",
        b"RETURN (",
        b"SAVE",
        b"CHANGEDSINCE 1",
        b"VANISHED",
        b"UNCHANGEDSINCE ",
        b"QRESYNC (1 2 ",
        b"MODSEQ ",
        b"REVERSE ",
        b"\xff",
    ]
)


@given(st.sampled_from(sorted(GRAMMAR)), st.lists(FRAGMENTS | st.binary(max_size=6), max_size=12))
def test_any_command_line_is_a_command_or_bad(name, pieces):
    """Nothing but the wire's own error comes out of the grammar, whatever follows the name."""
    with contextlib.suppress(BadCommandError):
        parsed(b"a " + name + b" " + b"".join(pieces))


@given(st.text())
def test_human_text_never_breaks_the_line(text):
    """A cause or a name in a response cannot inject another one."""
    line = responses.status(b"a", b"NO", text, code=b"CANNOT")
    assert line.count(b"\n") == 1
    assert line.endswith(b"\r\n")


@given(st.binary())
def test_a_string_is_read_back(value):
    """What `astring` writes, a scanner reads."""
    written = responses.astring(value)
    match = re.match(rb"\{(\d+)\}\r\n", written)
    parts = [b"", written[match.end() :], b""] if match else [written]
    if b"\0" in value:
        with pytest.raises(BadCommandError):
            Scanner(parts).astring()
    else:
        assert Scanner(parts).astring() == value


URL_PIECES = st.sampled_from(
    [
        "/",
        "INBOX",
        "%C3%89",
        "%ff",
        ";UID=",
        "7",
        "/;SECTION=",
        "1.MIME",
        "/;PARTIAL=",
        "3",
        ".",
        "0",
    ]
)


@given(st.lists(URL_PIECES | st.text(max_size=3), max_size=10).map("".join))
def test_any_text_is_a_message_url_or_none(text):
    """RFC 5092: nothing but `InvalidUrlError` leaves the reader."""
    with contextlib.suppress(InvalidUrlError):
        found = parse_url(text.encode())
        assert found.uid > 0


def test_message_urls_are_read():
    found = parse_url(b"/%C3%89t%C3%A9%20/a;uidvalidity=3/;uid=20/;section=1.2.mime/;partial=5.9")
    assert found.mailbox == "Été /a"
    assert (found.uidvalidity, found.uid) == (3, 20)
    assert (found.section.path, found.section.what) == ((1, 2), "MIME")
    assert (found.section.start, found.section.count) == (5, 9)
    assert parse_url(b"/inbox/;UID=1").mailbox == "INBOX"
    assert parse_url(b"/;UID=1").mailbox is None


@given(st.sampled_from(sorted(GRAMMAR)), st.binary(max_size=70), st.booleans())
@example(b"LOGIN", b" alice secret", False)
@example(b"SELECT", b" INBOX (CONDSTORE)", True)
@example(b"FETCH", b" 1:* (UID FLAGS)", False)
def test_a_line_that_is_remembered_means_what_it_means(name, rest, utf8):
    """Twice the same, and the same as without a memory; a password is not remembered."""

    def outcome(parse):
        try:
            return parse()
        except BadCommandError as error:
            return type(error), str(error)

    wanted = outcome(lambda: parse_command([b"a " + name + rest], utf8=utf8)[1:])
    for _ in range(2):
        assert outcome(lambda: parse_short(name + rest, utf8=utf8)) in (None, wanted)
    for secret in (b"LOGIN alice secret", b"login alice secret", b"AUTHENTICATE PLAIN AGEAYg=="):
        assert parse_short(secret) is None
