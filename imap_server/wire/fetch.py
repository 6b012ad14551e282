"""FETCH items (RFC 3501 §6.4.5): what is asked of each message."""

import re
from dataclasses import dataclass
from enum import StrEnum

from imap_server.wire.tokens import BadCommandError, Scanner


class Attribute(StrEnum):
    """Items that come from the index alone."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    SAVEDATE = "SAVEDATE"
    EMAILID = "EMAILID"
    THREADID = "THREADID"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a message's octets: `BODY[…]<…>` and its three old names."""

    label: bytes
    """How the response calls it, up to the literal."""
    path: tuple[int, ...] = ()
    what: str = ""
    """"" (all), HEADER, TEXT, MIME."""
    fields: tuple[bytes, ...] | None = None
    """HEADER.FIELDS: only these."""
    negate: bool = False
    """HEADER.FIELDS.NOT: all but these."""
    start: int | None = None
    count: int = 0
    """`<start.count>`: a partial, if `start` is not None."""
    peek: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """A part without its Content-Transfer-Encoding (RFC 3516 §4.2): `BINARY[…]<…>`."""

    label: bytes
    """How the response calls it, up to the literal or the number."""
    path: tuple[int, ...] = ()
    start: int | None = None
    count: int = 0
    """`<start.count>` of what is decoded."""
    peek: bool = False
    size_only: bool = False
    """BINARY.SIZE: only how many octets there are."""


@dataclass(frozen=True, slots=True)
class Preview:
    """RFC 8970 §3: the beginning of the text; `lazy`: only if that costs little."""

    lazy: bool = False


FetchItem = Attribute | Section | Binary | Preview

_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_OLD_NAMES = {
    b"RFC822": Section(b"RFC822"),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", what="HEADER", peek=True),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", what="TEXT"),
}
_ATTRIBUTES = {item.value.encode("ascii"): item for item in Attribute}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"[1-9][0-9]{0,5}(?:\.[1-9][0-9]{0,5})*")
_BINARY = frozenset({b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"})
_WORD = re.compile(rb"[A-Za-z.]+")
MAX_DEPTH = 100
"""Longest part path; deeper parts are in no index."""
MAX_FIELDS = 1000
MAX_ITEMS = 500
"""As many as a program that asks for a header of each part, and for the part, can need."""


def parse_items(scan: Scanner, *, opened: bool = False) -> tuple[FetchItem, ...]:
    """A macro, one item, or a list of items; `opened`: a list whose parenthesis is read already."""
    if opened or scan.skip(b"("):
        items = [_item(scan, _name(scan))]
        while not scan.skip(b")"):
            scan.space()
            items.append(_item(scan, _name(scan)))
            if len(items) > MAX_ITEMS:
                raise BadCommandError("Too many FETCH items")
        return tuple(items)
    name = _name(scan)
    macro = _MACROS.get(name)
    return macro if macro is not None else (_item(scan, name),)


def _name(scan: Scanner) -> bytes:
    return scan.match(_NAME, "Expected a FETCH item")[0].upper()


def _item(scan: Scanner, name: bytes) -> FetchItem:
    if name in {b"BODY", b"BODY.PEEK"} and scan.next_is(b"["):
        return parse_section(scan, peek=name == b"BODY.PEEK")
    if name in _BINARY and scan.next_is(b"["):
        return _binary(scan, name)
    if name == b"PREVIEW":
        return Preview(lazy=_is_lazy(scan))
    item = _ATTRIBUTES.get(name) or _OLD_NAMES.get(name)
    if item is None:
        raise BadCommandError("Unknown FETCH item")
    return item


def _is_lazy(scan: Scanner) -> bool:
    """A parenthesis that begins otherwise is the modifiers' of FETCH (RFC 4466 §2.4)."""
    if not scan.skip(b" (LAZY"):
        return False
    scan.expect(b")")
    return True


def parse_section(scan: Scanner, *, peek: bool) -> Section:
    """`[…]<…>` behind BODY, or as a URL names it."""
    scan.expect(b"[")
    label, path = _path(scan)
    what, names = "", None
    if not scan.next_is(b"]"):
        if path:
            scan.expect(b".")
        word = scan.match(_WORD, "Invalid section")[0].upper()
        what, names = _section_text(scan, word, nested=bool(path))
        label += (b"." if path else b"") + word
        if names is not None:
            label += b" (" + b" ".join(map(_spell, names)) + b")"
    scan.expect(b"]")
    start, count = _partial(scan)
    origin = b"" if start is None else b"<%d>" % start
    return Section(
        b"BODY[" + label + b"]" + origin,
        path=path,
        what="HEADER" if names is not None else what,
        fields=names,
        negate=what == "HEADER.FIELDS.NOT",
        start=start,
        count=count,
        peek=peek,
    )


def _path(scan: Scanner) -> tuple[bytes, tuple[int, ...]]:
    match = scan.match_if(_PATH)
    if match is None:
        return b"", ()
    path = tuple(int(number) for number in match[0].split(b"."))
    if len(path) > MAX_DEPTH:
        raise BadCommandError("Part number too deep")
    return match[0], path


def _binary(scan: Scanner, name: bytes) -> Binary:
    scan.expect(b"[")
    label, path = _path(scan)
    scan.expect(b"]")
    if name == b"BINARY.SIZE":
        return Binary(b"BINARY.SIZE[" + label + b"]", path, peek=True, size_only=True)
    start, count = _partial(scan)
    origin = b"" if start is None else b"<%d>" % start
    return Binary(
        b"BINARY[" + label + b"]" + origin,
        path,
        start=start,
        count=count,
        peek=name == b"BINARY.PEEK",
    )


def _section_text(
    scan: Scanner, word: bytes, *, nested: bool
) -> tuple[str, tuple[bytes, ...] | None]:
    if word in {b"HEADER", b"TEXT"} or (word == b"MIME" and nested):
        return word.decode("ascii"), None
    if word not in {b"HEADER.FIELDS", b"HEADER.FIELDS.NOT"}:
        raise BadCommandError("Invalid section")
    scan.space()
    names = scan.listed(scan.astring)
    if len(names) > MAX_FIELDS:
        raise BadCommandError("Too many header fields")
    if not all(re.fullmatch(rb"[\x21-\x39\x3b-\x7e]+", name) for name in names):
        raise BadCommandError("Invalid header field name")
    return word.decode("ascii"), tuple(names)


def _spell(name: bytes) -> bytes:
    if re.fullmatch(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+', name):
        return name
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _partial(scan: Scanner) -> tuple[int | None, int]:
    if not scan.skip(b"<"):
        return None, 0
    start = scan.number64()
    scan.expect(b".")
    count = scan.number64()
    if not count:
        raise BadCommandError("Zero is not allowed here")
    scan.expect(b">")
    return start, count
