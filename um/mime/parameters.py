"""Values with parameters: Content-Type and Content-Disposition (RFC 2045 §5.1, 2183, 2231).

Laws:
- Continuations are joined: `name*0=a; name*1=b` is `name=ab`. An extended value keeps its star and
  its percent signs (`filename*` = `utf-8''%C3%A9`): decoding is the reader's, as RFC 2231 says.
- Names keep the case in which they were written; a parameter that cannot be read is left out.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_from_bytes

Parameters = tuple[tuple[bytes, bytes], ...]

MAX_PARAMETERS = 200
COMMON_OCTETS = 100
"""What is no longer than that is remembered: most parts of most messages say the same few things."""

_TOKEN = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]++"
_TYPE = re.compile(rb"[\s]*+(" + _TOKEN + rb")\s*+/\s*+(" + _TOKEN + rb")")
_WORD = re.compile(rb"[\s]*+(" + _TOKEN + rb")")
_PARAMETER = re.compile(
    rb";[\s;]*+([^\x00-\x20\x7f-\xff;=\"]++)\s*+=\s*+"
    rb'(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))',
    re.DOTALL,
)
_COMMENT = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|(?:(?<=[\s;=/])|^)\([^()]*+\)', re.DOTALL)
"""A quoted string, to be kept, or a comment; `name=copy(1).pdf` has none, whatever RFC 2045 says."""
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(rb"^(.+?)\*(\d{1,3})(\*?)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type as written, with its parameters."""

    type: bytes
    subtype: bytes
    parameters: Parameters = ()

    @property
    def media(self) -> bytes:
        """`type/subtype` in lower case."""
        return b"%b/%b" % (self.type.lower(), self.subtype.lower())

    def get(self, name: bytes) -> bytes | None:
        """The parameter of that lower-case name, or None."""
        return parameter(self.parameters, name)


def content_type(value: bytes) -> ContentType | None:
    """Read a Content-Type; None if it names no type and subtype (then RFC 2045 §5.2 applies)."""
    return _COMMON_TYPES(value) if len(value) <= COMMON_OCTETS else _content_type(value)


def _content_type(value: bytes) -> ContentType | None:
    value = _without_comments(value)
    match = _TYPE.match(value)
    if not match:
        return None
    return ContentType(match[1], match[2], parameters(value, match.end()))


_COMMON_TYPES = lru_cache(maxsize=512)(_content_type)


def token_with_parameters(value: bytes) -> tuple[bytes, Parameters] | None:
    """Read a Content-Disposition; None if it does not begin with a token."""
    return _COMMON_TOKENS(value) if len(value) <= COMMON_OCTETS else _token_with_parameters(value)


def _token_with_parameters(value: bytes) -> tuple[bytes, Parameters] | None:
    value = _without_comments(value)
    match = _WORD.match(value)
    return (match[1], parameters(value, match.end())) if match else None


_COMMON_TOKENS = lru_cache(maxsize=512)(_token_with_parameters)


def token(value: bytes) -> bytes | None:
    """The token that is the whole value apart from comments, or None (Content-Transfer-Encoding)."""
    value = _without_comments(value)
    match = _WORD.match(value)
    return match[1] if match and not value[match.end() :].strip() else None


def tokens(value: bytes) -> list[bytes]:
    """The tokens of a comma-separated list (Content-Language, RFC 3282)."""
    items = _without_comments(value).split(b",")[:MAX_PARAMETERS]
    found = (_WORD.match(item) for item in items)
    return [match[1] for match in found if match]


def parameter(found: Parameters, name: bytes) -> bytes | None:
    """The value of the parameter of that lower-case name, or None."""
    return next((value for key, value in found if key.lower() == name), None)


def parameters(value: bytes, start: int = 0) -> Parameters:
    """Read `; name=value` pairs from `start` on, continuations joined (RFC 2231 §3)."""
    plain: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value, start)):
        if count >= MAX_PARAMETERS:
            break
        text = _unquoted(match)
        section = _SECTION.match(match[1]) if b"*" in match[1] else None
        if section:
            part = (text, bool(section[3]))
            pieces.setdefault(section[1], {}).setdefault(int(section[2]), part)
        else:
            plain.append((match[1], text))
    return tuple(plain + [_joined(name, found) for name, found in pieces.items()])


def _unquoted(match: re.Match[bytes]) -> bytes:
    if match[2] is not None:
        return _ESCAPE.sub(rb"\1", match[2])
    bare: bytes = match[3]
    return bare.strip()


def _without_comments(value: bytes) -> bytes:
    if b"(" not in value:
        return value
    return _COMMENT.sub(lambda match: match[1] or b" ", value)


def _joined(name: bytes, pieces: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    run: list[tuple[bytes, bool]] = []
    while len(run) in pieces:
        run.append(pieces[len(run)])
    if not any(extended for _, extended in run):
        return name, b"".join(text for text, _ in run)
    encoded = (text if extended else quote_from_bytes(text).encode() for text, extended in run)
    return name + b"*", b"".join(encoded)
