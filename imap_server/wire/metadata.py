"""GETMETADATA and SETMETADATA as written (RFC 5464 §5)."""

import re

from imap_server.wire import commands as c
from imap_server.wire.names import mailbox
from imap_server.wire.tokens import BadCommandError, Scanner

MAX_ENTRIES = 100
"""In one command."""
_ENTRY = re.compile(rb"/(?:private|shared)(?:/[\x20-\x24\x26-\x29\x2b-\x2e\x30-\x7e]+)+")
_VENDOR = re.compile(r"/(?:private|shared)/vendor(?:/[^/]+)?")
_ROOTS = (b"/private", b"/shared")
MAX_ENTRY = 255
_DEPTHS: dict[bytes, int | None] = {b"0": 0, b"1": 1, b"INFINITY": None}


def parse_get(scan: Scanner) -> c.GetMetadata:
    """The options stand before the mailbox, and in all examples of the RFC behind it."""
    scan.space()
    options = _Options()
    options.read(scan)
    name = mailbox(scan)
    scan.space()
    options.read(scan)

    def wanted() -> str:
        return _entry(scan, roots=options.depth != 0)

    entries = scan.listed(wanted) if scan.next_is(b"(") else [wanted()]
    if len(entries) > MAX_ENTRIES:
        raise BadCommandError("Too many entries")
    return c.GetMetadata(name, tuple(dict.fromkeys(entries)), options.max_octets, options.depth)


def parse_set(scan: Scanner) -> c.SetMetadata:
    """Of two values for one entry the last counts."""
    scan.space()
    name = mailbox(scan)
    scan.space()
    values: dict[str, bytes | None] = {}
    for count, _ in enumerate(scan.each()):
        if count >= MAX_ENTRIES:
            raise BadCommandError("Too many entries")
        entry = _entry(scan)
        scan.space()
        values[entry] = scan.value()
    return c.SetMetadata(name, tuple(values.items()))


class _Options:
    """RFC 5464 §4.2.1-2."""

    def __init__(self) -> None:
        self.max_octets: int | None = None
        self.depth: int | None = 0

    def read(self, scan: Scanner) -> None:
        """Take the options and the space behind them, if they come next."""
        if not (scan.next_is(b"(MAXSIZE ") or scan.next_is(b"(DEPTH ")):
            return
        for _ in scan.each():
            name = scan.keyword()
            scan.space()
            if name == b"MAXSIZE":
                self.max_octets = scan.number()
            elif name == b"DEPTH":
                self._set_depth(scan.keyword())
            else:
                raise BadCommandError("Unknown option")
        scan.space()

    def _set_depth(self, written: bytes) -> None:
        if written not in _DEPTHS:
            raise BadCommandError("Unknown depth")
        self.depth = _DEPTHS[written]


def _entry(scan: Scanner, *, roots: bool = False) -> str:
    """An entry's name, in lower case: it knows no case (§3.2).

    With `roots` also `/private` and `/shared`, which have no value and all entries below them.
    """
    written = scan.astring().lower()
    if roots and written in _ROOTS:
        return written.decode("ascii")
    if not _ENTRY.fullmatch(written) or len(written) > MAX_ENTRY:
        raise BadCommandError("Invalid entry name")
    name = written.decode("ascii")
    if _VENDOR.fullmatch(name):
        raise BadCommandError("An entry of a vendor has a name of its own")
    return name
