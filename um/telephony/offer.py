"""Offer and answer (RFC 3264): which codec, which way, and where the other side listens.

One `MediaNegotiation` a call. An answer keeps the order and number of the offer's media lines and
refuses with port 0 all but the first that fits: G.711 over RTP/AVP, with telephone-event if
offered. T.38 will be one more kind of media that fits.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from um.core.errors import InvalidError
from um.telephony.sdp import MediaDescription, SessionDescription, parse_sdp, render_sdp

CODECS: Final = {"0": "pcmu/8000", "8": "pcma/8000"}
EVENTS: Final = "telephone-event/8000"
OFFERED_EVENT_TYPE: Final = 101
PTIME_MS: Final = 20
_HOLD: Final = {"0.0.0.0", "::"}  # noqa: S104 - hold as RFC 2543 had it (RFC 3264 §8.4)
_ANSWER_DIRECTION: Final = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class NotAcceptableError(InvalidError):
    """Nothing in the offer fits (488)."""

    code = "sdp-not-acceptable"
    default = "Not Acceptable Here"


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides will do."""

    remote: tuple[str, int] | None
    """Where to send; None when the offer names no address (old-style hold, host name)."""
    payload_type: int
    """0 PCMU, 8 PCMA."""
    event_type: int | None
    """Payload type of RFC 4733 events."""
    ptime_ms: int
    sends: bool
    """We may send."""
    receives: bool
    """The other side may send."""


@dataclass(slots=True)
class MediaNegotiation:
    """Our side of a call's session: address, identity, version of the description."""

    host: str
    port: int
    session_id: int
    version: int = 0

    def answer(self, offer: bytes) -> tuple[bytes, Agreed]:
        """Our answer to `offer` and what it means.

        Raises SdpError (400) or NotAcceptableError (488); the session then stays as it was.
        """
        description = parse_sdp(offer)
        chosen = next((media for media in description.media if _fits(media)), None)
        if chosen is None:
            raise NotAcceptableError
        agreed = _agreed(chosen)
        sections = [
            self._answer_section(agreed, _ANSWER_DIRECTION[media.direction])
            if media is chosen
            else _refusal(media)
            for media in description.media
        ]
        return self._render(sections), agreed

    def offer(self) -> bytes:
        """Our own offer, for an INVITE that came without one."""
        events = OFFERED_EVENT_TYPE
        lines = [
            f"m=audio {self.port} RTP/AVP 0 8 {events}",
            *(f"a=rtpmap:{number} {name.upper()}" for number, name in CODECS.items()),
            f"a=rtpmap:{events} {EVENTS}",
            f"a=fmtp:{events} 0-15",
            f"a=ptime:{PTIME_MS}",
            "a=sendrecv",
        ]
        return self._render([_section(lines)])

    def read_answer(self, answer: bytes) -> Agreed:
        """What the other side's answer to `offer` means. Raises SdpError, NotAcceptableError."""
        description: SessionDescription = parse_sdp(answer)
        chosen = next((media for media in description.media if _fits(media)), None)
        if chosen is None:
            raise NotAcceptableError
        return _agreed(chosen)

    def _answer_section(self, agreed: Agreed, direction: str) -> str:
        number, events = agreed.payload_type, agreed.event_type
        lines = [
            f"m=audio {self.port} RTP/AVP {number}" + (f" {events}" if events else ""),
            f"a=rtpmap:{number} {CODECS[str(number)].upper()}",
        ]
        if events:
            lines += [f"a=rtpmap:{events} {EVENTS}", f"a=fmtp:{events} 0-15"]
        lines += [f"a=ptime:{agreed.ptime_ms}", f"a={direction}"]
        return _section(lines)

    def _render(self, sections: list[str]) -> bytes:
        self.version += 1
        return render_sdp(self.host, self.session_id, self.version, sections)


def _section(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _fits(media: MediaDescription) -> bool:
    return (
        media.kind == "audio"
        and media.port > 0
        and media.protocol.upper() == "RTP/AVP"
        and _codec(media) is not None
    )


def _codec(media: MediaDescription) -> int | None:
    """The offerer's most wanted law; its number must not be mapped to something else."""
    for number in media.formats:
        if number in CODECS and (media.mapping(number) or "").removesuffix("/1") in {
            "",
            CODECS[number],
        }:
            return int(number)
    return None


def _agreed(media: MediaDescription) -> Agreed:
    codec = _codec(media)
    assert codec is not None
    direction = media.direction
    return Agreed(
        remote=_remote(media),
        payload_type=codec,
        event_type=_events(media),
        ptime_ms=_ptime(media),
        sends=direction in {"sendrecv", "recvonly"} and media.host not in _HOLD,
        receives=direction in {"sendrecv", "sendonly"},
    )


def _events(media: MediaDescription) -> int | None:
    for number in media.formats:
        dynamic = number.isascii() and number.isdigit() and 96 <= int(number[:4]) <= 127
        if dynamic and media.mapping(number) == EVENTS:
            return int(number)
    return None


def _ptime(media: MediaDescription) -> int:
    """20 ms, or 10 ms when the other side cannot take more (a=maxptime)."""
    longest = media.attribute("maxptime") or ""
    short = longest.isascii() and longest.isdigit() and 10 <= int(longest[:4]) < PTIME_MS
    return 10 if short else PTIME_MS


def _remote(media: MediaDescription) -> tuple[str, int] | None:
    try:
        address = ip_address(media.host)
    except ValueError:
        return None  # a host name: RTP goes where RTP comes from
    if address.is_unspecified or address.is_multicast:
        return None
    return str(address), media.port


def _refusal(media: MediaDescription) -> str:
    return f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}\r\n"
