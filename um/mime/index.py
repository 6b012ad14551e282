"""The part index: where each part of a message lies, as stored beside it (RFC 3501 §6.4.5).

Stored form: one version octet, then for each part in pre-order 14 octets, little-endian:
shape (0 leaf, 1 multipart, 2 message/rfc822), start of the header, start of the body, end of the
body (32 bits each) and the number of children (8 bits; at most 200 parts are indexed).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from um.core.errors import InvalidError
from um.mime.structure import Part

_VERSION = 1
_ENTRY = struct.Struct("<BIIIB")


class Shape(IntEnum):
    """What the children of a part are."""

    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2


_SHAPES = tuple(Shape)


class IndexedPart(NamedTuple):
    """One part: header block `data[start:body]`, body `data[body:end]`.

    A tuple, for a search makes those of thousands of messages: a frozen dataclass takes twice as long.
    """

    shape: Shape
    start: int
    body: int
    end: int
    children: tuple["IndexedPart", ...] = ()


@dataclass(frozen=True, slots=True)
class PartIndex:
    """The parts of one message, for sections by offset."""

    root: IndexedPart

    @classmethod
    def of(cls, part: Part) -> "PartIndex":
        """The index of a parsed structure."""
        return cls(_indexed(part))

    @classmethod
    def decode(cls, structure: bytes) -> "PartIndex":
        """Read the stored form. Raises InvalidError if it is none of ours."""
        if not structure or structure[0] != _VERSION or (len(structure) - 1) % _ENTRY.size:
            raise InvalidError("Unknown form of part index")
        entries = list(_ENTRY.iter_unpack(structure[1:]))
        root, used = _read(entries, 0)
        if used != len(entries):
            raise InvalidError("Damaged part index")
        return cls(root)

    def encode(self) -> bytes:
        """The stored form."""
        out = [bytes((_VERSION,))]
        _write(self.root, out)
        return b"".join(out)

    def part(self, path: tuple[int, ...]) -> IndexedPart | None:
        """The part of that number, () is the message itself; None if there is none."""
        return _in_message(self.root, path) if path else self.root

    def span(self, path: tuple[int, ...], what: str = "") -> tuple[int, int] | None:
        """Start and end offset of a section of the message; None if there is no such section.

        Args:
            path: part numbers, from 1; () is the message itself.
            what: `""` (content: the whole message for (), else the body of the part), `HEADER`,
                `TEXT` or `MIME`. HEADER and TEXT of a part are those of the message/rfc822 in it.
        """
        if not path:
            part = self.root
            whole = {"": (part.start, part.end), "HEADER": _header(part), "TEXT": _text(part)}
            return whole.get(what)
        found = self.part(path)
        if found is None:
            return None
        if what == "":
            return _text(found)
        if what == "MIME":
            return _header(found)
        if found.shape is Shape.MESSAGE and found.children:
            inner = found.children[0]
            return {"HEADER": _header(inner), "TEXT": _text(inner)}.get(what)
        return None


def _header(part: IndexedPart) -> tuple[int, int]:
    return part.start, part.body


def _text(part: IndexedPart) -> tuple[int, int]:
    return part.body, part.end


def _in_message(entity: IndexedPart, path: tuple[int, ...]) -> IndexedPart | None:
    """Descend into a message: the parts of its multipart, or its only part as number 1."""
    if entity.shape is Shape.MULTIPART:
        return _in_multipart(entity, path)
    return _below(entity, path[1:]) if path[0] == 1 else None


def _in_multipart(part: IndexedPart, path: tuple[int, ...]) -> IndexedPart | None:
    if not part.children and path[0] == 1:  # stands for the parts it should have
        return _below(IndexedPart(Shape.LEAF, part.end, part.end, part.end), path[1:])
    if not 1 <= path[0] <= len(part.children):
        return None
    return _below(part.children[path[0] - 1], path[1:])


def _below(part: IndexedPart, path: tuple[int, ...]) -> IndexedPart | None:
    if not path:
        return part
    if part.shape is Shape.MULTIPART:
        return _in_multipart(part, path)
    if part.shape is Shape.MESSAGE and part.children:
        return _in_message(part.children[0], path)
    return None


def _indexed(part: Part) -> IndexedPart:
    shape = Shape.LEAF
    if part.is_multipart:
        shape = Shape.MULTIPART
    elif part.is_message:
        shape = Shape.MESSAGE
    children = tuple(map(_indexed, part.children))
    return IndexedPart(shape, part.start, part.body, part.end, children)


def _write(part: IndexedPart, out: list[bytes]) -> None:
    out.append(_ENTRY.pack(part.shape, part.start, part.body, part.end, len(part.children)))
    for child in part.children:
        _write(child, out)


def _read(entries: list[tuple[int, ...]], at: int) -> tuple[IndexedPart, int]:
    if at >= len(entries):
        raise InvalidError("Damaged part index")
    shape, start, body, end, count = entries[at]
    children: list[IndexedPart] = []
    at += 1
    for _ in range(count):
        child, at = _read(entries, at)
        children.append(child)
    if shape >= len(_SHAPES):
        raise InvalidError("Damaged part index")
    return IndexedPart(_SHAPES[shape], start, body, end, tuple(children)), at
