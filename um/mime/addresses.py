"""Address lists (RFC 5322 §3.4), read the way a mail program would want them: any octets give a list.

Groups become IMAP's markers (RFC 3501 §7.4.2): an address with a mailbox and no host opens one, an
address with neither closes it. So an address of a person always has a host: one that lacks it gets
MISSING_DOMAIN, one without a local part MISSING_MAILBOX (Dovecot's words).
"""

import re
from dataclasses import dataclass, field

MISSING_DOMAIN = b"MISSING_DOMAIN"
MISSING_MAILBOX = b"MISSING_MAILBOX"
MAX_ADDRESSES = 2000

_TOKEN = re.compile(
    rb'"((?:[^"\\]|\\.)*+)"'  # quoted string
    rb"|(\[[^\]]*+\]?)"  # domain literal
    rb"|([ \t\r\n]++)"
    rb"|([<>@,;:()])"
    rb"|((?:[^ \t\r\n\"\[<>@,;:()\\]|\\.)++)"  # atom, dots included
    rb"|.",  # a stray octet, such as the quote of a string that never ends
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """One address, in IMAP's four members; None is NIL."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


@dataclass(slots=True)
class _Item:
    """What stands between two separators, while it is read."""

    words: list[bytes] = field(default_factory=list)
    angle: list[bytes] | None = None
    comment: list[bytes] = field(default_factory=list)
    spaced: bool = False
    closed: bool = False
    """The angle address has ended: nothing belongs to it any more."""

    def add(self, text: bytes, *, special: bool = False) -> None:
        if self.closed:
            return
        target = self.words if self.angle is None else self.angle
        if target is self.words and not target:
            self.comment = []  # what stands before an address is no name of it
        joined = special or (bool(target) and target[-1] == b"@")
        if self.spaced and self.angle is None and target and not joined:
            target.append(b" ")
        self.spaced = False
        target.append(text)


def parse_addresses(value: bytes) -> list[Address]:
    """Read an address list; at most MAX_ADDRESSES, markers included. Never raises."""
    found: list[Address] = []
    item, depth, in_angle, in_group = _Item(), 0, False, False
    for match in _TOKEN.finditer(value):
        kind, text = match.lastindex, match[0]
        if depth:
            depth += (text == b"(") - (text == b")")
            if depth:
                item.comment.append(text)
            continue
        if kind is None:
            continue
        if kind == 1:
            item.add(_ESCAPE.sub(rb"\1", match[1]))
        elif kind == 3:
            item.spaced = True
        elif kind != 4:
            item.add(text)
        elif text == b"(":
            depth, item.comment = 1, []
        elif text == b"<" and item.angle is None:
            item.angle, in_angle = [], True
        elif text == b">":
            item.closed, in_angle = in_angle, False
        elif in_angle or text == b"@":
            item.add(text, special=True)
        elif text == b":" and not in_group:
            found.append(Address(None, None, b"".join(item.words), None))
            item, in_group = _Item(), True
        elif text in b",;":
            found.extend(_finish(item))
            item = _Item()
            if text == b";" and in_group:
                found.append(Address(None, None, None, None))
                in_group = False
        if len(found) >= MAX_ADDRESSES:
            break
    found.extend(_finish(item))
    if in_group:
        found.append(Address(None, None, None, None))
    return found


def _finish(item: _Item) -> list[Address]:
    if item.angle is None:
        return [_bare(item)] if item.words else []
    name = b"".join(item.words).strip() or b"".join(item.comment).strip() or None
    spec, route = b"".join(item.angle), None
    if spec.startswith(b"@") and b":" in spec:
        route, _, spec = spec.partition(b":")
    return [_address(name, route, spec)]


def _bare(item: _Item) -> Address:
    """An item without angle brackets: an address, perhaps with words before it, or words alone."""
    name, words = b"".join(item.comment).strip() or None, item.words
    if b" " in words:
        last = len(words) - words[::-1].index(b" ")
        has_address = b"@" in words[last:]
        phrase = words[: last - 1] if has_address else words
        name, words = b"".join(phrase), words[last:] if has_address else []
    return _address(name, None, b"".join(words))


def _address(name: bytes | None, route: bytes | None, spec: bytes) -> Address:
    mailbox, _, host = spec.rpartition(b"@") if b"@" in spec else (spec, b"", b"")
    return Address(name, route, mailbox.strip() or MISSING_MAILBOX, host.strip() or MISSING_DOMAIN)
