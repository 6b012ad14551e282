"""Surrogates for header fields with 8-bit text, for clients that know none (RFC 6855 §7, RFC 6858).

Laws: what is told is 7-bit and names nobody else; the message itself stays as it is. Text becomes
RFC 2047 words, a domain its A-labels, and an address whose local part has no 7-bit form one that
cannot be written to.
"""

import base64
import re

from um.mime.addresses import Address
from um.mime.charsets import decode_octets
from um.mime.fields import Fields, parse_fields
from um.mime.render import ADDRESS_FIELDS, envelope
from um.mime.strings import string

NO_MAILBOX = b"invalid"
NO_HOST = b"internationalized-address.invalid"
_WORD_OCTETS = 45
"""So that a word has at most 75 characters (RFC 2047 §2)."""
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")


def in_ascii(text: bytes) -> bytes:
    """The text itself, or in encoded words what is not 7-bit."""
    if _is_plain(text):
        return text
    words, word = [], b""
    for char in decode_octets(text, None):
        octets = char.encode("utf-8", "replace")
        if len(word) + len(octets) > _WORD_OCTETS:
            words.append(word)
            word = b""
        word += octets
    words.append(word)
    return b" ".join(b"=?utf-8?b?" + base64.b64encode(word) + b"?=" for word in words)


def structure_in_ascii(rendered: bytes) -> bytes:
    """BODY or BODYSTRUCTURE as rendered; strings with 8-bit text are literals, and are replaced."""
    if rendered.isascii():
        return rendered
    out, position = [], 0
    while match := _LITERAL.search(rendered, position):
        end = match.end() + int(match[1])
        value = rendered[match.end() : end]
        out.append(rendered[position : match.start()])
        out.append(rendered[match.start() : end] if value.isascii() else string(in_ascii(value)))
        position = end
    out.append(rendered[position:])
    return b"".join(out)


def envelope_in_ascii(header: bytes) -> bytes:
    """The ENVELOPE of a message with that header block."""
    fields = parse_fields(header)
    return envelope(Fields({name: _values(name, fields) for name in fields.by_name}), _address)


def _is_plain(text: bytes) -> bool:
    """Whether it can be told as it is: NUL cannot (see `um.mime.strings`)."""
    return text.isascii() and b"\0" not in text


def _values(name: bytes, fields: Fields) -> list[bytes]:
    values = fields.every(name)
    return values if name in ADDRESS_FIELDS else [in_ascii(value) for value in values]


def _address(one: Address) -> Address:
    name = None if one.name is None else in_ascii(one.name)
    route = one.route if one.route is None or _is_plain(one.route) else None
    if one.mailbox is None or _is_plain(one.mailbox):
        return Address(name, route, one.mailbox, one.host and _host(one.host))
    if one.host is None:  # the name of a group
        return Address(name, route, in_ascii(one.mailbox), None)
    shown = name or in_ascii(one.mailbox + b"@" + one.host)
    return Address(shown, None, NO_MAILBOX, NO_HOST)


def _host(host: bytes) -> bytes:
    if _is_plain(host):
        return host
    try:
        labels = decode_octets(host, None).encode("idna")
    except UnicodeError:
        return NO_HOST
    return labels if _is_plain(labels) else NO_HOST
