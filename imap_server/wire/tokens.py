"""A reader over one command: the terminals of RFC 3501 §9, taken one after the other.

A command is a line cut at its literals: text, literal, text, ... The scanner walks along it and
either returns a value or raises `BadCommandError`, the only error of the wire.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from imap_server.wire.sequence import LARGEST, SAVED, STAR, SequenceSet

T = TypeVar("T")

MAX_NESTING = 20
MAX_RANGES = 10_000
"""Clients that synchronise by UID send long sets; a line of 64 kB holds about as many."""

_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20(){"\\\x7f-\xff]+')
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_NUMBER = re.compile(rb"[0-9]{1,10}")
_NUMBER_64 = re.compile(rb"[0-9]{1,19}")
LARGEST_64 = (1 << 63) - 1
_FLAG = re.compile(rb'\\?[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_SEQUENCE = re.compile(rb"[0-9*:,]+")
_SET_START = frozenset(b"%c" % octet for octet in b"123456789*$")
_TAG = re.compile(rb'[^\x00-\x20(){%*"\\+\x7f-\xff]{1,128}')
_NIL = re.compile(rb"[Nn][Ii][Ll](?![^\x00-\x20(){%*\"\\\]\x7f-\xff])")


class BadCommandError(Exception):
    """The command breaks the grammar or a limit; its text goes into the BAD response."""


class Scanner:
    """One command's text and literals. `parts` alternates: text, literal, text, ..., text."""

    def __init__(self, parts: Sequence[bytes], *, utf8: bool = False) -> None:
        self.utf8 = utf8
        """Whether the client writes UTF-8, in quoted strings and as mailbox names (RFC 6855 §3)."""
        self._parts = parts
        self._part = 0
        self._text = parts[0]
        self._position = 0
        self._depth = 0

    def at_end(self) -> bool:
        """Whether all is read."""
        return self._position == len(self._text) and self._part == len(self._parts) - 1

    def end(self) -> None:
        if not self.at_end():
            raise BadCommandError("Unexpected extra arguments")

    def leave_rest(self) -> None:
        """Take all that is left, whatever it says."""
        self._part = len(self._parts) - 1
        self._text = self._parts[-1]
        self._position = len(self._text)

    def next_is(self, wanted: bytes) -> bool:
        """Whether `wanted` (upper case) comes next, in any case."""
        piece = self._text[self._position : self._position + len(wanted)]
        return piece.upper() == wanted

    def next_is_set(self) -> bool:
        """Whether a sequence set comes next."""
        return self._text[self._position : self._position + 1] in _SET_START

    def skip(self, wanted: bytes) -> bool:
        """Take `wanted` if it comes next."""
        if not self.next_is(wanted):
            return False
        self._position += len(wanted)
        return True

    def expect(self, wanted: bytes) -> None:
        if not self.skip(wanted):
            raise BadCommandError(f"Expected {wanted.decode('ascii')!r}")

    def space(self) -> None:
        if not self.skip(b" "):
            raise BadCommandError("Missing argument")

    def tag(self) -> bytes:
        return self.match(_TAG, "Invalid tag")[0]

    def atom(self) -> bytes:
        return self.match(_ATOM, "Expected an atom")[0]

    def keyword(self) -> bytes:
        """An atom in capitals: names of commands, items and keys know no case."""
        return self.atom().upper()

    def number(self) -> int:
        value = int(self.match(_NUMBER, "Expected a number")[0])
        if value > LARGEST:
            raise BadCommandError("Number too large")
        return value

    def number64(self, problem: str = "Expected a number") -> int:
        """RFC 9051 §9 `number64`: sizes, and places in a message; 63 bits."""
        value = int(self.match(_NUMBER_64, problem)[0])
        if value > LARGEST_64:
            raise BadCommandError("Number too large")
        return value

    def mod_sequence(self) -> int:
        """RFC 7162 §7 `mod-sequence-valzer`."""
        return self.number64("Expected a mod-sequence")

    def nz_number(self) -> int:
        value = self.number()
        if value == 0:
            raise BadCommandError("Zero is not allowed here")
        return value

    def string(self) -> bytes:
        """A quoted string or literal (RFC 3501 §4.3)."""
        if self._text.startswith(b'"', self._position):
            return self._quoted()
        literal = self._literal()
        if b"\0" in literal:
            raise BadCommandError("NUL is not allowed")
        return literal

    def _literal(self) -> bytes:
        if self._position != len(self._text) or self._part + 1 >= len(self._parts):
            raise BadCommandError("Expected a string")
        literal = self._parts[self._part + 1]
        self._part += 2
        self._text = self._parts[self._part]
        self._position = 0
        return literal

    def _quoted(self) -> bytes:
        written = self.match(_QUOTED, "Invalid quoted string")[1]
        if self.utf8 and not written.isascii():
            try:
                written.decode("utf-8")
            except UnicodeDecodeError:
                raise BadCommandError("Quoted string is not UTF-8") from None
        return _ESCAPE.sub(rb"\1", written)

    def astring(self) -> bytes:
        match = _ASTRING.match(self._text, self._position)
        if match is None:
            return self.string()
        self._position = match.end()
        return match[0]

    def list_mailbox(self) -> bytes:
        match = _LIST_MAILBOX.match(self._text, self._position)
        if match is None:
            return self.string()
        self._position = match.end()
        return match[0]

    def nstring(self) -> bytes | None:
        match = _NIL.match(self._text, self._position)
        if match is None:
            return self.string()
        self._position = match.end()
        return None

    def value(self) -> bytes | None:
        """RFC 5464 §5 `value`: NIL, a string, or a `literal8`, which may hold NUL."""
        if self._text.startswith(b"~", self._position):
            self._position += 1
            return self._literal()
        return self.nstring()

    def flag(self) -> str:
        """One flag as written; what it may be is the command's business."""
        flag = self.match(_FLAG, "Invalid flag")[0]
        if len(flag) > 128:
            raise BadCommandError("Keyword too long")
        return flag.decode("ascii")

    def sequence_set(self) -> SequenceSet:
        """RFC 3501 §9 `sequence-set`, or the `$` of RFC 5182 §2.1."""
        if self.skip(b"$"):
            return SAVED
        written = self.match(_SEQUENCE, "Invalid sequence set")[0].split(b",")
        if len(written) > MAX_RANGES:
            raise BadCommandError("Too many ranges")
        return SequenceSet(tuple(_range(item) for item in written))

    def nested(self, item: Callable[[], T]) -> T:
        """Read `item` one level deeper, at most MAX_NESTING deep."""
        if self._depth >= MAX_NESTING:
            raise BadCommandError("Nested too deeply")
        self._depth += 1
        try:
            return item()
        finally:
            self._depth -= 1

    def each(self, *, empty: bool = False) -> Iterator[None]:
        """Walk through a parenthesized list of words; whoever iterates reads one at each turn."""
        self.expect(b"(")
        if empty and self.skip(b")"):
            return
        yield
        while not self.skip(b")"):
            self.space()
            yield

    def listed(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """A parenthesized list of `item`; `empty` says whether `()` will do."""
        self.expect(b"(")
        if empty and self.skip(b")"):
            return []
        items = [self.nested(item)]
        while not self.skip(b")"):
            self.space()
            items.append(self.nested(item))
        return items

    def match(self, pattern: re.Pattern[bytes], problem: str) -> re.Match[bytes]:
        """Take what `pattern` matches here, or complain of `problem`."""
        match = pattern.match(self._text, self._position)
        if match is None:
            raise BadCommandError(problem)
        self._position = match.end()
        return match

    def match_if(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Take what `pattern` matches here, if it does."""
        match = pattern.match(self._text, self._position)
        if match is not None:
            self._position = match.end()
        return match


def _range(item: bytes) -> tuple[int, int]:
    first, colon, last = item.partition(b":")
    low = _bound(first)
    return (low, _bound(last)) if colon else (low, low)


def _bound(written: bytes) -> int:
    if written == b"*":
        return STAR
    if not written.isdigit() or written.startswith(b"0") or len(written) > 10:
        raise BadCommandError("Invalid sequence set")
    value = int(written)
    if value > LARGEST:
        raise BadCommandError("Number too large")
    return value
