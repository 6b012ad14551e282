"""The header fields that the engine itself reads, as values: Via, name-addr fields, CSeq."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from um.telephony.sip.grammar import (
    DISPLAY_TOKENS,
    QUOTED,
    Parameters,
    SipSyntaxError,
    is_token,
    parameter,
    parse_host_port,
    parse_number,
    parse_parameters,
    unquote,
)
from um.telephony.sip.uri import Uri, parse_uri

_SENT_PROTOCOL: Final = re.compile(
    r"([A-Za-z0-9\-.!%*_+`'~]+)\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s*/\s*"
    r"([A-Za-z0-9\-.!%*_+`'~]+)\s+([^;]+)"
)
MAGIC_COOKIE: Final = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 §20.42). `text` is the value as received."""

    text: str
    transport: str
    host: str
    port: int | None
    parameters: Parameters

    @property
    def branch(self) -> str | None:
        """The transaction's name, if it is one (RFC 3261 §8.1.1.7, RFC 4475 §3.2.1)."""
        branch = parameter(self.parameters, "branch")
        named = branch and branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE)
        return branch if named else None

    @property
    def rport_asked(self) -> bool:
        """Whether the sender wants the answer where the request came from (RFC 3581 §4)."""
        return parameter(self.parameters, "rport") is not None

    def stamped(self, host: str, port: int) -> str:
        """The value with `received` and `rport` as the server must set them (RFC 3581 §4)."""
        text = re.sub(r"(?i);\s*received\s*=[^;]*", "", self.text)
        if self.rport_asked:
            text = re.sub(r"(?i);\s*rport\s*(=[^;]*)?(?=;|$)", f";rport={port}", text)
        elif host == self.host:
            return text
        return f"{text};received={host}"


@dataclass(frozen=True, slots=True)
class NameAddr:
    """From, To, Contact, Route and their like: a URI with a name and field parameters."""

    text: str
    display: str
    uri: Uri
    parameters: Parameters

    @property
    def tag(self) -> str | None:
        return parameter(self.parameters, "tag") or None

    def parameter(self, name: str) -> str | None:
        """Value of a field parameter; "" if it has none, None if it is not there."""
        return parameter(self.parameters, name)


@dataclass(frozen=True, slots=True)
class CSeq:
    """Command sequence: number below 2^31 and method (RFC 3261 §8.1.1.5)."""

    number: int
    method: str


@lru_cache(maxsize=512)
def parse_via(text: str) -> Via:
    """Read one Via value."""
    found = _SENT_PROTOCOL.match(text)
    if found is None:
        raise SipSyntaxError("Malformed Via")
    host, port = parse_host_port(found[4].strip())
    return Via(text, found[3].upper(), host, port, parse_parameters(text[found.end() :]))


@lru_cache(maxsize=512)
def parse_name_addr(text: str) -> NameAddr:
    """Read one `name-addr / addr-spec` with its parameters (RFC 3261 §20.10)."""
    text = text.strip()
    quoted = QUOTED.match(text) if text.startswith('"') else None
    if text.startswith('"') and quoted is None:
        raise SipSyntaxError("Unterminated quoted string")
    after = quoted.end() if quoted else 0
    opening = text.find("<", after)
    if opening < 0:
        if quoted:
            raise SipSyntaxError("Display name without an address in <>")
        return _parse_addr_spec(text)
    closing = text.find(">", opening)
    between = text[after:opening]
    if closing < 0 or (quoted and between.strip()) or not DISPLAY_TOKENS.fullmatch(between):
        raise SipSyntaxError("Malformed address")
    display = unquote(quoted[0]) if quoted else between.strip()
    uri = parse_uri(text[opening + 1 : closing])
    return NameAddr(text, display, uri, parse_parameters(text[closing + 1 :]))


def _parse_addr_spec(text: str) -> NameAddr:
    """Without angle brackets all parameters are the field's, and `?` and `,` are not allowed."""
    address, semicolon, tail = text.partition(";")
    if "?" in address or "," in address:
        raise SipSyntaxError("Address must stand in <>")
    uri = parse_uri(address.strip())
    return NameAddr(text, "", uri, parse_parameters(semicolon + tail))


@lru_cache(maxsize=512)
def parse_cseq(text: str) -> CSeq:
    """Read a CSeq value."""
    parts = text.split()
    if len(parts) != 2 or not is_token(parts[1]):
        raise SipSyntaxError("Malformed CSeq")
    return CSeq(parse_number(parts[0], limit=2**31), parts[1])
