"""Responses (RFC 3501 §7): values to octets. Every function returns whole lines or whole tokens."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from imap_server.wire import utf7

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_UNSAFE_TEXT = re.compile(r"[^\x20-\x7e]+")


def quoted(value: bytes) -> bytes:
    """A string: quoted where that is possible, else a literal."""
    if len(value) <= 1024 and _QUOTABLE.fullmatch(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n" % len(value) + value


def astring(value: bytes) -> bytes:
    """An atom if it is one, and not NIL; else a string."""
    if _ATOM.fullmatch(value) and value.upper() != b"NIL":
        return value
    return quoted(value)


def nstring8(value: bytes | None) -> bytes:
    """NIL, a string, or a `literal8` if there is NUL in it (RFC 3516 §4.3)."""
    if value is None:
        return b"NIL"
    if b"\0" in value:
        return b"~{%d}\r\n" % len(value) + value
    return quoted(value)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name, in modified UTF-7, or in UTF-8 for who has turned that on (RFC 6855 §3)."""
    if not utf8 or name.isascii():
        return astring(utf7.encode(name) if not utf8 else name.encode("ascii"))
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return b'"' + escaped.encode("utf-8") + b'"'


@lru_cache(maxsize=256)
def text(human: str) -> bytes:
    """Human-readable text: printable US-ASCII only, never empty, never a new line."""
    return _UNSAFE_TEXT.sub(" ", human).strip().encode("ascii") or b"-"


def status(tag: bytes, word: bytes, human: str, *, code: bytes = b"") -> bytes:
    """`tag OK|NO|BAD|BYE [code] text`; the tag `*` makes it untagged."""
    bracketed = b"[" + code + b"] " if code else b""
    return tag + b" " + word + b" " + bracketed + text(human) + b"\r\n"


def untagged(*words: bytes) -> bytes:
    """`* …`."""
    return b"* " + b" ".join(words) + b"\r\n"


def continuation(human: bytes = b"") -> bytes:
    """`+ …` (RFC 3501 §7.5)."""
    return b"+ " + human + b"\r\n"


def parenthesized(words: Iterable[bytes]) -> bytes:
    """`(a b c)`."""
    return b"(" + b" ".join(words) + b")"


def flags(flags: Iterable[str]) -> bytes:
    """A flag list, system flags first, always in one order."""
    return b"(" + " ".join(sorted(flags, key=_flag_order)).encode("ascii") + b")"


def _flag_order(flag: str) -> tuple[bool, str]:
    return (not flag.startswith("\\"), flag)


def list_line(
    word: bytes,
    attributes: Sequence[bytes],
    name: str,
    *,
    child_info: Sequence[bytes] = (),
    old_name: str | None = None,
    utf8: bool = False,
) -> bytes:
    """`* LIST (attributes) "/" name`, with CHILDINFO or OLDNAME if there is any.

    RFC 5258 §3.5, RFC 9051 §6.3.9.7.
    """
    words = [word, parenthesized(attributes), b'"/"', mailbox(name, utf8=utf8)]
    if child_info:
        criteria = parenthesized(b'"' + name + b'"' for name in child_info)
        words.append(b'("CHILDINFO" ' + criteria + b")")
    elif old_name is not None:
        words.append(b'("OLDNAME" (' + mailbox(old_name, utf8=utf8) + b"))")
    return untagged(*words)
