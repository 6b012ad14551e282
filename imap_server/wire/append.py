"""APPEND as written: one or several messages, read chunk by chunk (RFC 3501 §6.3.11, RFC 3502).

Laws:
- A chunk is the text between two messages' octets, with the literals that are arguments. It gives
  steps, or one `BadCommandError`; nothing is kept of a chunk whose next argument is still to come.
- Octets of messages never come here: a step says that the coming literal is one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from imap_server.wire.commands import Append
from imap_server.wire.dates import parse_date_time
from imap_server.wire.flags import appended
from imap_server.wire.names import mailbox
from imap_server.wire.parser import parse_name
from imap_server.wire.sequence import SequenceSet
from imap_server.wire.tokens import BadCommandError, Scanner

_DATE_TIME = re.compile(rb'"([ 0-9][0-9]-[^"]{0,40})"')
MAX_PARTS = 1000
"""Of one message."""
NO_LITERAL = "The message must be a literal"


@dataclass(frozen=True, slots=True)
class Heading:
    """A message begins: what is said of it."""

    flags: tuple[str, ...]
    internal_date: datetime | None


@dataclass(frozen=True, slots=True)
class Octets:
    """The coming literal is a message's."""

    binary: bool = False
    """It is written `~{n}` and may hold NUL (RFC 3516 §4.4)."""
    is_part: bool = False
    """It is a piece of a message (RFC 4469)."""


@dataclass(frozen=True, slots=True)
class Url:
    """A piece of the message is what this names (RFC 4469 §3)."""

    written: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The message is complete."""


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """The command is complete."""


Step = Heading | Octets | Url | MessageEnd | AppendEnd


class _Place(Enum):
    """Where the text goes on."""

    COMMAND = auto()
    MESSAGE = auto()
    """Before a message, or before the end of the command."""
    DATA = auto()
    AFTER_DATA = auto()
    AFTER_UTF8 = auto()
    PART = auto()
    """Before a part of CATENATE."""
    AFTER_PART = auto()
    AFTER_UTF8_PART = auto()
    END = auto()


class _ArgumentComesError(Exception):
    """The coming literal is an argument: the chunk is read again when it is there."""


class AppendParser:
    """The grammar of one APPEND; `utf8` as `Scanner` has it."""

    def __init__(self, *, utf8: bool = False) -> None:
        self._utf8 = utf8
        self.append: Append | None = None
        """What the command itself says, once that is read."""
        self._place = _Place.COMMAND
        self._messages = 0
        self._parts = 0

    def read(self, parts: Sequence[bytes], *, literal: bool) -> list[Step] | None:
        """Read one chunk; `literal` says whether a literal follows it, else the line ends.

        None: that literal is an argument, and the chunk is to be read again with it.
        """
        chunk = _Chunk(Scanner(parts, utf8=self._utf8), self.append, literal=literal)
        chunk.messages, chunk.parts = self._messages, self._parts
        try:
            place = chunk.walk(self._place)
        except _ArgumentComesError:
            return None
        self.append, self._place = chunk.append, place
        self._messages, self._parts = chunk.messages, chunk.parts
        return chunk.steps


class _Chunk:
    """One walk over a chunk."""

    def __init__(self, scan: Scanner, append: Append | None, *, literal: bool) -> None:
        self.append = append
        self.messages = 0
        self.parts = 0
        self.steps: list[Step] = []
        self._scan = scan
        self._literal = literal
        self._waits = False

    def walk(self, place: _Place) -> _Place:
        """Go on from `place` to the message's octets or the end of the command."""
        while not self._waits:
            place = _READ[place](self)
        return place

    def command(self) -> _Place:
        scan = self._scan
        scan.tag()
        scan.space()
        name = parse_name(scan)
        scan.space()
        replaced = None
        if name != b"APPEND":
            replaced = _one_message(scan)
            scan.space()
        self._argument()
        self.append = Append(mailbox(scan), replaced, by_uid=name.startswith(b"UID "))
        return _Place.MESSAGE

    def message(self) -> _Place:
        if self._scan.at_end() and not self._literal and self.messages:
            self.steps.append(AppendEnd())
            self._waits = True
            return _Place.END
        if self.append is not None and self.append.replaced is not None and self.messages:
            raise BadCommandError("One message is replaced by one")
        self._scan.space()
        self.messages += 1
        self.steps.append(self._heading())
        return _Place.DATA

    def _heading(self) -> Heading:
        scan = self._scan
        flags: tuple[str, ...] = ()
        date: datetime | None = None
        if scan.next_is(b"("):
            flags = appended(scan.listed(scan.flag, empty=True))
            scan.space()
        if scan.next_is(b'"'):
            date = parse_date_time(scan.match(_DATE_TIME, "Invalid date-time")[1])
            scan.space()
        return Heading(flags, date)

    def data(self) -> _Place:
        if self._scan.skip(b"CATENATE ("):
            return _Place.PART
        if self._scan.skip(b"UTF8 ("):
            self._utf8_literal()
            return _Place.AFTER_UTF8
        self._octets()
        return _Place.AFTER_DATA

    def after_utf8(self) -> _Place:
        self._scan.expect(b")")
        return self.after_data()

    def after_data(self) -> _Place:
        self.steps.append(MessageEnd())
        self.parts = 0
        return _Place.MESSAGE

    def part(self) -> _Place:
        """RFC 4469 §5 `cat-part`."""
        scan = self._scan
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise BadCommandError("Too many parts")
        if scan.skip(b"URL "):
            self._argument()
            self.steps.append(Url(scan.astring()))
            return _Place.AFTER_PART
        if scan.skip(b"UTF8 ("):
            self._utf8_literal()
            return _Place.AFTER_UTF8_PART
        scan.expect(b"TEXT ")
        self._octets()
        return _Place.AFTER_PART

    def after_part(self) -> _Place:
        if self._scan.skip(b")"):
            return self.after_data()
        self._scan.space()
        return _Place.PART

    def after_utf8_part(self) -> _Place:
        self._scan.expect(b")")
        return _Place.AFTER_PART

    def end(self) -> _Place:
        raise BadCommandError("Unexpected extra arguments")

    def _utf8_literal(self) -> None:
        """RFC 6855 §4; plain literals do as well since RFC 9755."""
        if not self._scan.utf8:
            raise BadCommandError("ENABLE UTF8=ACCEPT first")
        if not self._scan.next_is(b"~"):
            raise BadCommandError("Expected '~'")
        self._octets()

    def _octets(self) -> None:
        binary = self._scan.skip(b"~")
        if not (self._literal and self._scan.at_end()):
            raise BadCommandError(NO_LITERAL)
        self.steps.append(Octets(binary, is_part=self.parts > 0))
        self._waits = True

    def _argument(self) -> None:
        if self._literal and self._scan.at_end():
            raise _ArgumentComesError


def _one_message(scan: Scanner) -> SequenceSet:
    """A message number or UID, or `*`."""
    messages = scan.sequence_set()
    if len(messages.ranges) != 1 or messages.ranges[0][0] != messages.ranges[0][1]:
        raise BadCommandError("Expected one message")
    return messages


_READ: Mapping[_Place, Callable[[_Chunk], _Place]] = {
    _Place.COMMAND: _Chunk.command,
    _Place.MESSAGE: _Chunk.message,
    _Place.DATA: _Chunk.data,
    _Place.AFTER_DATA: _Chunk.after_data,
    _Place.AFTER_UTF8: _Chunk.after_utf8,
    _Place.PART: _Chunk.part,
    _Place.AFTER_PART: _Chunk.after_part,
    _Place.AFTER_UTF8_PART: _Chunk.after_utf8_part,
    _Place.END: _Chunk.end,
}
