"""The words of SIP's grammar (RFC 3261 §25.1): tokens, quoted strings, comments, parameters, lists.

Text here is one header field's value, unfolded. Octets that are no UTF-8 are surrogates, so that
what was received can be echoed bit by bit. All functions raise `SipSyntaxError` and nothing else.
"""

import re
from typing import Final

from um.core.errors import InvalidError

TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
QUOTED: Final = re.compile(r'"(?:[^"\\\r\n]|\\[^\r\n])*"')
# Between tokens of a display name LWS; beyond the grammar also UTF-8, which telephones do send.
DISPLAY_TOKENS: Final = re.compile(r"(?:[A-Za-z0-9\-.!%*_+`'~ \t]|[^\x00-\x7f])*")
HOST: Final = re.compile(
    r"\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?"
)
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_PARAMETER: Final = re.compile(
    r";[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]*"
    r'(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^;,"\s]*)[ \t]*)?',
    re.DOTALL,
)

Parameters = tuple[tuple[str, str | None], ...]
"""Name (lower case) and value (unquoted; None if there is no `=`), in order."""


class SipSyntaxError(InvalidError):
    """Octets that are no SIP. `public` is the reason phrase that a 400 may carry."""

    code = "sip-syntax"
    default = "Bad Request"


def is_token(text: str) -> bool:
    """Whether `text` is a token."""
    return TOKEN.fullmatch(text) is not None


def unquote(text: str) -> str:
    """The content of a quoted-string, its quoted-pairs resolved; other text as it is."""
    if len(text) < 2 or not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def quote(text: str) -> str:
    """`text` as a quoted-string."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def unescape(text: str) -> str:
    """Resolve `%HH` once (RFC 3261 §19.1.1); only for URI parts and reason phrases."""
    if "%" not in text:
        return text
    octets = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _as_octets(text))
    return octets.encode("latin-1").decode("utf-8", "surrogateescape")


def _as_octets(text: str) -> str:
    """One character an octet, so that escapes can complete a UTF-8 sequence."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def split_list(text: str) -> list[str]:
    """The values of a comma-separated field; commas in quotes and angle brackets do not count.

    An empty element is an error (RFC 4475 §3.1.2.1), an empty field is an empty list.
    """
    if not text.strip():
        return []
    values, start, position, bracket = [], 0, 0, False
    while position < len(text):
        character = text[position]
        if character == '"' and not bracket:
            position = _end_of_quoted(text, position)
            continue
        if character == "<":
            bracket = True
        elif character == ">":
            bracket = False
        elif character == "," and not bracket:
            values.append(text[start:position].strip())
            start = position + 1
        position += 1
    values.append(text[start:].strip())
    if not all(values):
        raise SipSyntaxError("Empty list element")
    return values


def _end_of_quoted(text: str, start: int) -> int:
    found = QUOTED.match(text, start)
    if found is None:
        raise SipSyntaxError("Unterminated quoted string")
    return found.end()


def parse_parameters(text: str) -> Parameters:
    """`;name=value;name…`, all of `text`. Values may be tokens, hosts or quoted strings."""
    parameters: list[tuple[str, str | None]] = []
    position, text = 0, text.strip()
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None or found[2] == "":
            raise SipSyntaxError("Malformed parameter")
        value = found[2]
        parameters.append((found[1].lower(), None if value is None else unquote(value)))
        position = found.end()
    return tuple(parameters)


def parameter(parameters: Parameters, name: str) -> str | None:
    """Value of the first parameter of that name; "" if it has none, None if it is not there."""
    for key, value in parameters:
        if key == name:
            return value or ""
    return None


def strip_comments(text: str) -> str:
    """`text` without its (nested) comments, as in Retry-After and Server (RFC 3261 §25.1)."""
    kept: list[str] = []
    depth, position = 0, 0
    while position < len(text):
        character = text[position]
        if character == "\\" and depth:
            position += 2
            continue
        if character == '"' and not depth:
            end = _end_of_quoted(text, position)
            kept.append(text[position:end])
            position = end
            continue
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            kept.append(character)
        position += 1
    if depth:
        raise SipSyntaxError("Unterminated comment")
    return "".join(kept).strip()


def parse_number(text: str, *, limit: int) -> int:
    """Decimal digits (leading zeros allowed) for a value below `limit`."""
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > len(str(limit)):
        raise SipSyntaxError("Malformed number")
    value = int(digits)
    if value >= limit:
        raise SipSyntaxError("Number out of range")
    return value


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host[:port]` with an IPv6 reference in brackets (kept off the result)."""
    found = HOST.match(text)
    if found is None:
        raise SipSyntaxError("Malformed host")
    rest = text[found.end() :].strip()
    if not rest:
        return found[0].strip("[]"), None
    if not rest.startswith(":"):
        raise SipSyntaxError("Malformed host")
    return found[0].strip("[]"), parse_number(rest[1:], limit=65536)


def host_port(host: str, port: int | None) -> str:
    """The reverse of `parse_host_port`."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
