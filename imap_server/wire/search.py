"""SEARCH keys (RFC 3501 §6.4.4) as a tree of values."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from imap_server.wire.dates import parse_date
from imap_server.wire.sequence import SequenceSet
from imap_server.wire.tokens import BadCommandError, Scanner
from um.core.message import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN


class When(StrEnum):
    """How a date compares; both ends of a day belong to it."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


class Result(StrEnum):
    """What SEARCH tells (RFC 4731 §3.1), and whether `$` keeps it (RFC 5182)."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of `keys`."""

    keys: tuple["SearchKey", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Either."""

    left: "SearchKey"
    right: "SearchKey"


@dataclass(frozen=True, slots=True)
class Not:
    """Not `key`."""

    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The flag or keyword is set; compared without regard to case."""

    flag: str


@dataclass(frozen=True, slots=True)
class IsRecent:
    r"""\Recent for this session."""


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE is greater than `octets`."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE is less than `octets`."""

    octets: int


@dataclass(frozen=True, slots=True)
class InternalDate:
    """INTERNALDATE, without its time."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class SentDate:
    """The Date: header, without its time and zone."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """A field of that name has `text` in its decoded value; empty text: the field is there."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """The text of the body has `text`; with `header` the header may have it too (TEXT)."""

    text: str
    header: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message numbers, or UIDs."""

    messages: SequenceSet
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Within:
    """INTERNALDATE lies within the last `seconds`, or with `older` before them (RFC 5032)."""

    seconds: int
    older: bool


@dataclass(frozen=True, slots=True)
class ModSeqAtLeast:
    """The mod-sequence is at least `modseq` (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class SavedDate:
    """SAVEDATE, without its time (RFC 8514 §4.3)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class HasEmailId:
    """RFC 8474 §5.1; a THREADID is no message's, since there are none."""

    identifier: str


SearchKey = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | IsRecent
    | Larger
    | Smaller
    | InternalDate
    | SentDate
    | HeaderContains
    | BodyContains
    | Numbers
    | Within
    | ModSeqAtLeast
    | SavedDate
    | HasEmailId
)

_CHARSETS = frozenset({"US-ASCII", "ASCII", "UTF-8"})
"""All are read as UTF-8, of which US-ASCII is a part."""
_PLAIN: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"SAVEDATESUPPORTED": All(),
    b"ANSWERED": HasFlag(ANSWERED),
    b"DELETED": HasFlag(DELETED),
    b"DRAFT": HasFlag(DRAFT),
    b"FLAGGED": HasFlag(FLAGGED),
    b"SEEN": HasFlag(SEEN),
    b"UNANSWERED": Not(HasFlag(ANSWERED)),
    b"UNDELETED": Not(HasFlag(DELETED)),
    b"UNDRAFT": Not(HasFlag(DRAFT)),
    b"UNFLAGGED": Not(HasFlag(FLAGGED)),
    b"UNSEEN": Not(HasFlag(SEEN)),
    b"RECENT": IsRecent(),
    b"OLD": Not(IsRecent()),
    b"NEW": And((IsRecent(), Not(HasFlag(SEEN)))),
}
_RESULTS = {result.value: result for result in Result}
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
MAX_KEYS = 1000


class BadCharsetError(Exception):
    """A charset that is not known: the keys behind it cannot be read (RFC 3501 §6.4.4)."""


class _Parser:
    def __init__(self, scan: Scanner) -> None:
        self._scan = scan
        self._count = 0

    def keys(self) -> SearchKey:
        found = [self.key()]
        while not self._scan.at_end():
            self._scan.space()
            found.append(self.key())
        return found[0] if len(found) == 1 else And(tuple(found))

    def key(self) -> SearchKey:
        self._count += 1
        if self._count > MAX_KEYS:
            raise BadCommandError("Too many search keys")
        scan = self._scan
        if scan.next_is(b"("):
            return And(tuple(scan.listed(self.key)))
        if scan.next_is_set():
            return Numbers(scan.sequence_set(), by_uid=False)
        name = scan.keyword()
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain
        take = _WITH_ARGUMENT.get(name)
        if take is None:
            raise BadCommandError("Unknown search key")
        scan.space()
        return take(self)

    def inner(self) -> SearchKey:
        return self._scan.nested(self.key)

    def negation(self) -> SearchKey:
        return Not(self.inner())

    def either(self) -> SearchKey:
        left = self.inner()
        self._scan.space()
        return Or(left, self.inner())

    def keyword(self) -> HasFlag:
        return HasFlag(self._scan.atom().decode("ascii"))

    def text(self) -> str:
        try:
            return self._scan.astring().decode("utf-8")
        except UnicodeDecodeError:
            raise BadCommandError("The text is not in the charset") from None

    def day(self) -> date:
        return parse_date(self._scan.astring())

    def header(self) -> HeaderContains:
        name = self.text()
        self._scan.space()
        return HeaderContains(name.lower(), self.text())

    def uids(self) -> Numbers:
        return Numbers(self._scan.sequence_set(), by_uid=True)

    def size(self) -> int:
        return self._scan.number64()

    def identifier(self) -> str:
        """RFC 8474 §7 `objectid`."""
        return self._scan.match(_OBJECT_ID, "Expected an identifier")[0].decode("ascii")

    def thread_id(self) -> SearchKey:
        self.identifier()
        return Not(All())

    def within(self, *, older: bool) -> Within:
        return Within(self._scan.nz_number(), older=older)

    def modseq(self) -> ModSeqAtLeast:
        """`["/flags/…" all|shared|priv] n`: all flags are one to us, so the entry decides nothing."""
        scan = self._scan
        if scan.next_is(b'"'):
            if not scan.string().lower().startswith(b"/flags/"):
                raise BadCommandError("Expected the name of a flag")
            scan.space()
            if scan.keyword() not in {b"ALL", b"SHARED", b"PRIV"}:
                raise BadCommandError("Expected all, shared or priv")
            scan.space()
        return ModSeqAtLeast(scan.mod_sequence())


_WITH_ARGUMENT: dict[bytes, Callable[[_Parser], SearchKey]] = {
    b"NOT": _Parser.negation,
    b"OR": _Parser.either,
    b"KEYWORD": _Parser.keyword,
    b"UNKEYWORD": lambda parser: Not(parser.keyword()),
    b"LARGER": lambda parser: Larger(parser.size()),
    b"SMALLER": lambda parser: Smaller(parser.size()),
    b"BEFORE": lambda parser: InternalDate(When.BEFORE, parser.day()),
    b"ON": lambda parser: InternalDate(When.ON, parser.day()),
    b"SINCE": lambda parser: InternalDate(When.SINCE, parser.day()),
    b"SENTBEFORE": lambda parser: SentDate(When.BEFORE, parser.day()),
    b"SENTON": lambda parser: SentDate(When.ON, parser.day()),
    b"SENTSINCE": lambda parser: SentDate(When.SINCE, parser.day()),
    b"FROM": lambda parser: HeaderContains("from", parser.text()),
    b"TO": lambda parser: HeaderContains("to", parser.text()),
    b"CC": lambda parser: HeaderContains("cc", parser.text()),
    b"BCC": lambda parser: HeaderContains("bcc", parser.text()),
    b"SUBJECT": lambda parser: HeaderContains("subject", parser.text()),
    b"HEADER": _Parser.header,
    b"BODY": lambda parser: BodyContains(parser.text(), header=False),
    b"TEXT": lambda parser: BodyContains(parser.text(), header=True),
    b"UID": _Parser.uids,
    b"OLDER": lambda parser: parser.within(older=True),
    b"YOUNGER": lambda parser: parser.within(older=False),
    b"MODSEQ": _Parser.modseq,
    b"SAVEDBEFORE": lambda parser: SavedDate(When.BEFORE, parser.day()),
    b"SAVEDON": lambda parser: SavedDate(When.ON, parser.day()),
    b"SAVEDSINCE": lambda parser: SavedDate(When.SINCE, parser.day()),
    b"EMAILID": lambda parser: HasEmailId(parser.identifier()),
    b"THREADID": _Parser.thread_id,
}


def parse_return(scan: Scanner) -> frozenset[Result] | None:
    """`RETURN (…) `, if it comes next (RFC 4731 §3.1); an empty list means ALL."""
    if not scan.skip(b"RETURN "):
        return None
    results = set()
    for _ in scan.each(empty=True):
        word = scan.keyword().decode("ascii")
        if word not in _RESULTS:
            raise BadCommandError("Unknown SEARCH return option")
        results.add(_RESULTS[word])
    scan.space()
    return frozenset(results) or frozenset({Result.ALL})


def uses_modseq(key: SearchKey) -> bool:
    """Whether the mod-sequence decides anywhere in `key`, so that the highest is to be told."""
    match key:
        case And():
            return any(uses_modseq(each) for each in key.keys)
        case Or():
            return uses_modseq(key.left) or uses_modseq(key.right)
        case Not():
            return uses_modseq(key.key)
        case _:
            return isinstance(key, ModSeqAtLeast)


def counts_by_number(key: SearchKey) -> bool:
    """Whether message numbers decide anywhere in `key`."""
    match key:
        case And():
            return any(counts_by_number(each) for each in key.keys)
        case Or():
            return counts_by_number(key.left) or counts_by_number(key.right)
        case Not():
            return counts_by_number(key.key)
        case _:
            return isinstance(key, Numbers) and not (key.by_uid or key.messages.saved)


def parse_with_charset(scan: Scanner) -> SearchKey:
    """`charset key …`: SORT and THREAD always name one (RFC 5256 §5)."""
    _check_charset(scan)
    return _Parser(scan).keys()


def _check_charset(scan: Scanner) -> None:
    charset = scan.astring().decode("ascii", "replace").upper()
    scan.space()
    if scan.at_end():
        raise BadCommandError("Missing argument")
    if charset not in _CHARSETS:
        raise BadCharsetError


def parse_search(scan: Scanner) -> tuple[SearchKey, bool]:
    """`[CHARSET x] key …`, and whether a charset was named. Raises BadCharsetError."""
    named = scan.skip(b"CHARSET ")
    if named:
        _check_charset(scan)
    return _Parser(scan).keys(), named
