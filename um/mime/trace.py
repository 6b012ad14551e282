"""Trace fields of mail in (RFC 5321 §4.4), and the removal of fields that strangers may not set."""

import re
from collections.abc import Collection
from datetime import datetime
from email.utils import format_datetime

from um.mime.fields import MAX_HEADER_OCTETS, field_pattern, has_too_many_fields, header_end

OURS = ("X-UM-*", "Message-Context")
"""Fields that mean something to us: stripped from all mail that comes in."""

_UNSAFE = re.compile(r"[^!-~]|[()<>\\;]")
_UNSAFE_PATH = re.compile(r"[^!-~]|[<>]")


def return_path(sender: str) -> bytes:
    """The Return-Path field: the reverse path as given to MAIL, `<>` for the null sender."""
    return f"Return-Path: <{_UNSAFE_PATH.sub('', sender)}>\r\n".encode("ascii")


def received(
    *, helo: str, peer: str, domain: str, protocol: str, identifier: str, at: datetime
) -> bytes:
    """The Received field: who handed the message over, to whom, how and when.

    No `for` clause: with several recipients it would tell one of another (RFC 5321 §7.6).
    """
    return (
        f"Received: from {_word(helo)} ([{_word(peer)}])\r\n"
        f"\tby {_word(domain)} with {_word(protocol)} id {_word(identifier)};\r\n"
        f"\t{format_datetime(at)}\r\n"
    ).encode("ascii")


def count_fields(data: bytes, name: str) -> int:
    """How many fields of that name the message's header has (all of it, without a bound)."""
    header = data[: header_end(data, 0, len(data))]
    return len(field_pattern(frozenset({name.lower()})).findall(header))


def strip_headers(data: bytes, names: Collection[str]) -> bytes:
    """The message without the header fields of those names; `X-UM-*` means all that begin so.

    Only the message's own header is touched. The same octets come back if nothing is to go.
    """
    end = header_end(data, 0, len(data))
    prefixes = frozenset(name[:-1] for name in names if name.endswith("*"))
    fields = field_pattern(frozenset(name for name in names if name[-1:] != "*"), prefixes)
    header, removed = fields.subn(b"", data[:end])
    return header + data[end:] if removed else data


def header_is_flood(data: bytes) -> bool:
    """The header is larger than any honest one: more of it would never be looked at."""
    end = header_end(data, 0, len(data))
    return end > MAX_HEADER_OCTETS or has_too_many_fields(data, end)


def _word(text: str) -> str:
    return _UNSAFE.sub("", text)[:255] or "unknown"
