"""ENVELOPE, BODY and BODYSTRUCTURE as they go over the wire (RFC 3501 §7.4.2).

Where the RFC leaves a choice it is made as Dovecot 2.3 makes it: types and parameter names in the
case of the message, `"7bit"` and `"us-ascii"` where nothing is said, lines = number of LF.
"""

from collections.abc import Callable

from um.mime.addresses import Address, parse_addresses
from um.mime.fields import Fields
from um.mime.parameters import Parameters, parameter, token, token_with_parameters, tokens
from um.mime.strings import NIL, human_string, nstring, string
from um.mime.structure import Part

_CHARSET = b'"charset" "us-ascii"'
_EMPTY = b'("text" "plain" (' + _CHARSET + b') NIL NIL "7bit" 0 0'
"""Stands for the parts of a multipart that has none (its grammar wants at least one)."""


ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
"""In the order of an ENVELOPE."""


def envelope(fields: Fields, shown: Callable[[Address], Address] | None = None) -> bytes:
    """Render an ENVELOPE with its parentheses. Sender and Reply-To default to From.

    `shown` says what stands for an address, if it is not the address itself.
    """
    lists = [_address_list(fields, name, shown) for name in ADDRESS_FIELDS]
    lists[1:3] = [each or lists[0] for each in lists[1:3]]
    members = (
        nstring(fields.last(b"date")),
        human_string(fields.last(b"subject")),
        *(each or NIL for each in lists),
        nstring(fields.last(b"in-reply-to")),
        nstring(fields.last(b"message-id")),
    )
    return b"(%b)" % b" ".join(members)


def body_structures(data: bytes, part: Part) -> tuple[bytes, bytes]:
    """Render (BODY, BODYSTRUCTURE) of a part of `data`, with their parentheses."""
    if part.is_multipart:
        return _multipart(data, part)
    return _single(data, part)


def _multipart(data: bytes, part: Part) -> tuple[bytes, bytes]:
    children = [body_structures(data, child) for child in part.children]
    if not children:
        children = [(_EMPTY + b")", _EMPTY + b" NIL NIL NIL NIL)")]
    subtype = string(part.type.subtype)
    short = b"(%b %b)" % (b"".join(body for body, _ in children), subtype)
    extended = b"(%b %b %b %b)" % (
        b"".join(structure for _, structure in children),
        subtype,
        _parameters(part.type.parameters),
        _disposition_language_location(part.fields),
    )
    return short, extended


def _single(data: bytes, part: Part) -> tuple[bytes, bytes]:
    fields = part.fields
    encoding = fields.last(b"content-transfer-encoding")
    common = b"(%b %b %b %b %b %b %d" % (
        string(part.type.type),
        string(part.type.subtype),
        _parameters(part.type.parameters, text=part.is_text),
        nstring(fields.last(b"content-id")),
        nstring(fields.last(b"content-description")),
        string((token(encoding) if encoding else None) or b"7bit"),
        part.end - part.body,
    )
    short = extended = common
    if part.is_text:
        lines = b" %d" % data.count(b"\n", part.body, part.end)
        short, extended = common + lines, common + lines
    elif part.children:
        lines = b" %d" % data.count(b"\n", part.body, part.end)
        inner = part.children[0]
        body, structure = body_structures(data, inner)
        head = common + b" " + envelope(inner.fields) + b" "
        short, extended = head + body + lines, head + structure + lines
    md5 = nstring(fields.last(b"content-md5"))
    tail = b" %b %b)" % (md5, _disposition_language_location(fields))
    return short + b")", extended + tail


def _disposition_language_location(fields: Fields) -> bytes:
    return b"%b %b %b" % (
        _disposition(fields.last(b"content-disposition")),
        _languages(fields.last(b"content-language")),
        nstring(fields.last(b"content-location")),
    )


def _disposition(value: bytes | None) -> bytes:
    found = token_with_parameters(value) if value else None
    return b"(%b %b)" % (string(found[0]), _parameters(found[1])) if found else NIL


def _languages(value: bytes | None) -> bytes:
    found = tokens(value) if value else []
    return b"(%b)" % b" ".join(string(language) for language in found) if found else NIL


def _parameters(found: Parameters, *, text: bool = False) -> bytes:
    pairs = [b"%b %b" % (string(name), string(value)) for name, value in found]
    if text and parameter(found, b"charset") is None:
        pairs.append(_CHARSET)
    return b"(%b)" % b" ".join(pairs) if pairs else NIL


def _address_list(fields: Fields, name: bytes, shown: Callable[[Address], Address] | None) -> bytes:
    """The addresses of a field in their parentheses; nothing if there are none."""
    found = [one for value in fields.every(name) for one in parse_addresses(value)]
    if shown is not None:
        found = list(map(shown, found))
    return b"(%b)" % b"".join(map(_address, found)) if found else b""


def _address(one: Address) -> bytes:
    return b"(%b %b %b %b)" % (
        human_string(one.name),
        nstring(one.route),
        nstring(one.mailbox),
        nstring(one.host),
    )
