"""Session descriptions (RFC 8866): octets to values and back. Knows nothing of offers.

Only what a media description means to a telephone is read: kind, port, protocol, formats,
connection address and attributes. Any octets give a description or `SdpError`.
"""

from dataclasses import dataclass
from typing import Final

from um.core.errors import InvalidError

MAX_LINES: Final = 1000
MAX_MEDIA: Final = 32
DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")

Attribute = tuple[str, str]
"""Name and value; "" of a property attribute."""


class SdpError(InvalidError):
    """Octets that are no session description."""

    code = "sdp-syntax"
    default = "Malformed session description"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m= line with what belongs to it."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str = ""
    """Connection address, the session's where the media has none; "" if neither has."""
    attributes: tuple[Attribute, ...] = ()
    direction: str = "sendrecv"

    def attribute(self, name: str) -> str | None:
        """Value of the first attribute of that name."""
        return next((value for key, value in self.attributes if key == name), None)

    def mapping(self, payload_type: str) -> str | None:
        """`encoding/clock rate` that a=rtpmap gives a format, lower case; one channel is not said."""
        for key, value in self.attributes:
            number, _, encoding = value.partition(" ")
            if key == "rtpmap" and number == payload_type:
                return encoding.strip().lower().removesuffix("/1")
        return None

    def parameters(self, payload_type: str) -> str:
        """What a=fmtp says of a format; "" if nothing."""
        for key, value in self.attributes:
            number, _, parameters = value.partition(" ")
            if key == "fmtp" and number == payload_type:
                return parameters.strip()
        return ""


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """What was offered or answered."""

    media: tuple[MediaDescription, ...]


def parse_sdp(data: bytes) -> SessionDescription:
    """Read a description. Raises SdpError. Unknown lines are skipped (RFC 8866 §5)."""
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError("Session description too long")
    if not lines[0].startswith("v=0"):
        raise SdpError("Session description without v=0")
    sections: list[list[tuple[str, str]]] = [[]]
    for line in lines[1:]:
        key, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or len(key) != 1:
            raise SdpError("Malformed line in session description")
        if key == "m":
            sections.append([])
        sections[-1].append((key, value.strip()))
    if len(sections) - 1 > MAX_MEDIA:
        raise SdpError("Too many media descriptions")
    session = sections[0]
    media = tuple(_media(section, session) for section in sections[1:])
    return SessionDescription(media)


def _media(section: list[tuple[str, str]], session: list[tuple[str, str]]) -> MediaDescription:
    words = section[0][1].split()
    if len(words) < 4:
        raise SdpError("Malformed media description")
    attributes = tuple(_attribute(value) for key, value in section if key == "a")
    common = tuple(_attribute(value) for key, value in session if key == "a")
    return MediaDescription(
        kind=words[0].lower(),
        port=_port(words[1]),
        protocol=words[2],
        formats=tuple(words[3:]),
        host=_host(section) or _host(session),
        attributes=attributes,
        direction=_direction(attributes) or _direction(common) or "sendrecv",
    )


def _attribute(value: str) -> Attribute:
    name, _, content = value.partition(":")
    return name.strip().lower(), content.strip()


def _port(text: str) -> int:
    number = text.partition("/")[0]
    if not (number.isascii() and number.isdigit() and len(number) <= 5 and int(number) < 65536):
        raise SdpError("Malformed media port")
    return int(number)


def _host(lines: list[tuple[str, str]]) -> str:
    for key, value in lines:
        if key == "c":
            words = value.split()
            if len(words) != 3 or words[0] != "IN":
                raise SdpError("Malformed connection line")
            return words[2].partition("/")[0]
    return ""


def _direction(attributes: tuple[Attribute, ...]) -> str | None:
    return next((name for name, _ in attributes if name in DIRECTIONS), None)


def address_line(host: str) -> str:
    """`IN IP4 …` or `IN IP6 …`."""
    return f"IN {'IP6' if ':' in host else 'IP4'} {host}"


def render_sdp(host: str, session_id: int, version: int, media: list[str]) -> bytes:
    """A description with our origin; `media` are sections, each line ended by CRLF."""
    address = address_line(host)
    head = f"v=0\r\no=- {session_id} {version} {address}\r\ns=-\r\nc={address}\r\nt=0 0\r\n"
    return (head + "".join(media)).encode("utf-8", "replace")
