"""SIP messages as values (RFC 3261 §7): a start line, ordered header fields, a body."""

from dataclasses import dataclass
from typing import Final

from um.telephony.sip.fields import (
    CSeq,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_via,
)
from um.telephony.sip.grammar import SipSyntaxError, split_list

COMPACT_FORMS: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_SPELLED: Final = {
    "call-id": "Call-ID",
    "cseq": "CSeq",
    "mime-version": "MIME-Version",
    "min-se": "Min-SE",
    "www-authenticate": "WWW-Authenticate",
}

Field = tuple[str, str]
"""Name (lower case, long form) and value (unfolded, without surrounding white space)."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields in the order received."""

    fields: tuple[Field, ...] = ()

    def get(self, name: str) -> str | None:
        """Value of the first field of that name."""
        return next((value for key, value in self.fields if key == name), None)

    def all(self, name: str) -> list[str]:
        """Values of all fields of that name, not split at commas."""
        return [value for key, value in self.fields if key == name]

    def values(self, name: str) -> list[str]:
        """All comma-separated values of all fields of that name."""
        return [item for value in self.all(name) for item in split_list(value)]

    def only(self, name: str) -> str:
        """The value of a field that must be there exactly once."""
        values = self.all(name)
        if len(values) != 1:
            raise SipSyntaxError(f"{'Missing' if not values else 'Repeated'} {spelled(name)}")
        return values[0]


@dataclass(frozen=True, slots=True)
class Message:
    """What requests and responses share. The properties raise SipSyntaxError.

    The parser has touched them all, so of a message that it returned they raise nothing.
    """

    headers: Headers
    body: bytes

    @property
    def via(self) -> Via:
        """The topmost Via."""
        values = self.headers.values("via")
        if not values:
            raise SipSyntaxError("Missing Via")
        return parse_via(values[0])

    @property
    def from_(self) -> NameAddr:
        return parse_name_addr(self.headers.only("from"))

    @property
    def to(self) -> NameAddr:
        return parse_name_addr(self.headers.only("to"))

    @property
    def cseq(self) -> CSeq:
        return parse_cseq(self.headers.only("cseq"))

    @property
    def call_id(self) -> str:
        return self.headers.only("call-id")

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact."""
        values = self.headers.values("contact")
        return parse_name_addr(values[0]) if values else None

    def addresses(self, name: str) -> list[NameAddr]:
        """All values of a name-addr field such as Route or Diversion."""
        return [parse_name_addr(value) for value in self.headers.values(name)]


@dataclass(frozen=True, slots=True)
class Request(Message):
    """A request; `uri` is the Request-URI as text."""

    method: str
    uri: str

    def encode(self) -> bytes:
        """The octets to send."""
        return _encode(f"{self.method} {self.uri} SIP/2.0", self)


@dataclass(frozen=True, slots=True)
class Response(Message):
    """A response; `status` is 100..699."""

    status: int
    reason: str

    def encode(self) -> bytes:
        """The octets to send."""
        return _encode(f"SIP/2.0 {self.status} {self.reason}", self)


def spelled(name: str) -> str:
    """A field's name as it is usually written."""
    return _SPELLED.get(name) or "-".join(part.capitalize() for part in name.split("-"))


def _encode(start_line: str, message: Message) -> bytes:
    lines = [start_line]
    lines += [
        f"{spelled(name)}: {value}"
        for name, value in message.headers.fields
        if name != "content-length"
    ]
    lines.append(f"Content-Length: {len(message.body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + message.body
