"""Octets -> `Request` or `Response`, or one error (RFC 3261 §7, §18.3, §25; RFC 4475).

Laws:
- Any octets give a message or `MalformedMessageError`, nothing else; a message that is returned
  has every mandatory field, each parsed once, so later reading cannot fail.
- A malformed request that can be answered carries what the answer must echo (`answerable`).
- Header lines end in CRLF: a bare CR or LF is refused, never guessed at.
"""

import re
from typing import Final

from um.telephony.sip.fields import parse_via
from um.telephony.sip.grammar import (
    SipSyntaxError,
    is_token,
    parse_number,
)
from um.telephony.sip.message import COMPACT_FORMS, Field, Headers, Request, Response
from um.telephony.sip.uri import parse_uri

MAX_DATAGRAM_OCTETS: Final = 65_535
MAX_HEADER_FIELDS: Final = 100
KNOWN_METHODS: Final = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK"}
    | {"PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"}
)
_FOLD: Final = re.compile(r"\r\n[ \t]+")
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)
_REQUEST_LINE: Final = re.compile(r"([^ ]+) ([^ ]+) (SIP/[0-9]+\.[0-9]+)", re.IGNORECASE)
_ADDRESS_FIELDS: Final = ("contact", "route", "record-route")


class MalformedMessageError(SipSyntaxError):
    """Octets that are no valid message.

    `answerable` is the request as far as it was understood, when an answer `status` can be sent;
    its typed properties must not be relied on.
    """

    code = "sip-malformed"

    def __init__(
        self, public: str, *, status: int = 400, answerable: Request | None = None
    ) -> None:
        super().__init__(public)
        self.status = status
        self.answerable = answerable


def is_keepalive(data: bytes) -> bool:
    """Whether a datagram is but a keep-alive (RFC 5626 §3.5.1) or a NAT ping."""
    return not data.strip(b"\r\n\0 ")


def parse_message(data: bytes) -> Request | Response:
    """Read the one message of a datagram; octets after its body are noise (§18.3).

    Raises MalformedMessageError.
    """
    if len(data) > MAX_DATAGRAM_OCTETS:
        raise MalformedMessageError("Message Too Large")
    head, end, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    start_line, _, rest = text.partition("\r\n")
    if _STATUS_LINE.fullmatch(start_line):
        return _parse_response(start_line, rest, body)
    method = start_line.split(" ", 1)[0]
    if not is_token(method) or start_line.startswith("SIP/"):
        raise MalformedMessageError("Malformed start line")
    return _parse_request(method, start_line, rest, body if end else None)


def _parse_response(start_line: str, rest: str, body: bytes) -> Response:
    found = _STATUS_LINE.fullmatch(start_line)
    assert found is not None
    fields: list[Field] = []
    try:
        _fields(rest, fields)
        headers = Headers(tuple(fields))
        response = Response(headers, _cut(headers, body), int(found[1]), found[2] or "")
        _check(response)
    except SipSyntaxError as error:
        raise MalformedMessageError(error.public) from error
    return response


def _parse_request(method: str, start_line: str, rest: str, body: bytes | None) -> Request:
    fields: list[Field] = []
    try:
        _fields(rest, fields)
        if body is None:
            raise SipSyntaxError("No end of the header")
        headers = Headers(tuple(fields))
        uri = _request_uri(start_line, method)
        request = Request(headers, _cut(headers, body), method, uri)
        _check(request)
        if request.cseq.method != method:
            known = method in KNOWN_METHODS
            raise MalformedMessageError(
                "CSeq does not match the method" if known else "Not Implemented",
                status=400 if known else 501,
            )
    except SipSyntaxError as error:
        status = error.status if isinstance(error, MalformedMessageError) else 400
        partial = Request(Headers(tuple(fields)), b"", method, "")
        answerable = partial if _can_be_answered(partial) else None
        raise MalformedMessageError(error.public, status=status, answerable=answerable) from error
    return request


def _request_uri(start_line: str, method: str) -> str:
    found = _REQUEST_LINE.fullmatch(start_line)
    if found is None:
        raise SipSyntaxError("Malformed request line")
    if found[3].upper() != "SIP/2.0":
        raise MalformedMessageError("Version Not Supported", status=505)
    if parse_uri(found[2]).headers and method != "REGISTER":
        raise SipSyntaxError("Header fields in the Request-URI")
    return found[2]


def _can_be_answered(partial: Request) -> bool:
    """An answer needs at least a Via to find its transaction; an ACK is never answered."""
    return partial.method != "ACK" and partial.headers.get("via") is not None


def _fields(text: str, fields: list[Field]) -> None:
    """Append the header fields in `text`. What is wrong is told last, so that all others are read."""
    wrong = ""
    for line in _FOLD.sub(" ", text).split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t").lower()
        if not colon or not is_token(name) or "\r" in line or "\n" in line:
            wrong = wrong or "Malformed header field"
        elif len(fields) >= MAX_HEADER_FIELDS:
            raise SipSyntaxError("Too many header fields")
        else:
            fields.append((COMPACT_FORMS.get(name, name), value.strip(" \t")))
    if wrong:
        raise SipSyntaxError(wrong)


def _cut(headers: Headers, body: bytes) -> bytes:
    """The body by Content-Length (§18.3, §20.14): absent = the rest; short or repeated = error."""
    lengths = headers.all("content-length")
    if not lengths:
        return body
    if len(lengths) > 1:
        raise SipSyntaxError("Repeated Content-Length")
    length = parse_number(lengths[0], limit=2**31)
    if length > len(body):
        raise SipSyntaxError("Content-Length larger than the message")
    return body[:length]


def _check(message: Request | Response) -> None:
    """Touch everything that later code reads, so that it fails here or never."""
    vias = message.headers.values("via")
    if not vias:
        raise SipSyntaxError("Missing Via")
    for via in vias:
        parse_via(via)
    _ = message.from_, message.to, message.cseq
    call_id = message.call_id
    if not call_id or any(character.isspace() for character in call_id):
        raise SipSyntaxError("Malformed Call-ID")
    if len(message.headers.all("max-forwards")) > 1:
        raise SipSyntaxError("Repeated Max-Forwards")
    for name in _ADDRESS_FIELDS:
        if message.headers.all(name) != ["*"]:
            message.addresses(name)
    for name in ("require", "accept"):
        message.headers.values(name)
