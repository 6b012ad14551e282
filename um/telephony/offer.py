"""Offer and answer (RFC 3264): which codec, which way, and where the other side listens.

One `MediaNegotiation` a call. An answer keeps the order and number of the offer's media lines and
refuses with port 0 all but the first that fits: one codec of ours over RTP/AVP, with
telephone-event and comfort noise if offered. Among the codecs the offerer's order counts, but one
that keeps tones goes before one that does not: fax and in-band digits need it.
Where the call's application takes T.38 (`takes_t38`) that fits before any audio, since a sender that
offers both beside each other can fax by either; T.38 over TCP never fits.
"""

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from um.core.errors import InvalidError
from um.telephony.codec import Codec, Codecs
from um.telephony.sdp import (
    MediaDescription,
    SdpError,
    SessionDescription,
    parse_sdp,
    render_sdp,
)
from um.telephony.t38 import OURS, T38Terms, is_t38, media_lines, our_terms, read_terms

EVENTS: Final = "telephone-event/8000"
COMFORT_NOISE: Final = "cn/8000"
COMFORT_NOISE_TYPE: Final = 13
"""RFC 3389 §4, RFC 3551 §6."""
OFFERED_EVENT_TYPE: Final = 101
PTIME_MS: Final = 20
PTIMES_MS: Final = (10, 20, 30)
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
    codec: Codec
    payload_type: int
    """The codec's number in this call."""
    event_type: int | None
    """Payload type of RFC 4733 events."""
    ptime_ms: int
    sends: bool
    """We may send."""
    receives: bool
    """The other side may send, and is not on hold."""
    noise_type: int | None = None
    """Payload type of comfort noise (RFC 3389), which we hear and never send."""
    rtcp: tuple[str, int] | None = None
    """Where reports go if not to the port above (a=rtcp, RFC 3605)."""
    parameters: str = ""
    """Our a=fmtp for the codec."""


@dataclass(frozen=True, slots=True)
class AgreedT38:
    """Both sides will speak T.38 over UDPTL, each on the port of its media line."""

    remote: tuple[str, int] | None
    """Where to send; None when the other side names no address."""
    terms: T38Terms
    """What the other side said of itself."""


@dataclass(slots=True)
class MediaNegotiation:
    """Our side of a call's session: address, identity, version of the description."""

    host: str
    port: int
    session_id: int
    codecs: Codecs
    version: int = 0
    takes_t38: bool = False
    """The call's application can receive T.38."""
    _agreed: Agreed | AgreedT38 | None = None
    """What holds until an offer changes it."""
    _lines: list[MediaDescription | None] = field(default_factory=list)
    """The media lines of the session so far; None is ours (RFC 3264 §8: none may vanish)."""

    def answer(self, offer: bytes) -> tuple[bytes, Agreed | AgreedT38]:
        """Our answer to `offer` and what it means.

        Raises SdpError (400) or NotAcceptableError (488); the session then stays as it was.
        """
        description = parse_sdp(offer)
        chosen, self._agreed = self._choose(description)
        self._lines = [None if media is chosen else media for media in description.media]
        if isinstance(self._agreed, AgreedT38):
            ours = _section(media_lines(self.port, our_terms(self._agreed.terms)))
        else:
            ours = self._answer_section(self._agreed, _ANSWER_DIRECTION[chosen.direction])
        return self._render_among(ours), self._agreed

    def offer(self) -> bytes:
        """Our own offer of what the session is now, audio at first (for an INVITE without one)."""
        return self.offer_t38() if isinstance(self._agreed, AgreedT38) else self.offer_audio()

    def offer_t38(self) -> bytes:
        """Our offer to go on in T.38, in the place of the audio."""
        return self._render_among(_section(media_lines(self.port, OURS)))

    def offer_audio(self) -> bytes:
        """Our offer of all our codecs."""
        events = OFFERED_EVENT_TYPE
        numbers = " ".join(str(codec.payload_type) for codec in self.codecs)
        lines = [f"m=audio {self.port} RTP/AVP {numbers} {events}"]
        for codec in self.codecs:
            lines += _codec_lines(codec, codec.payload_type, codec.parameters(""))
        lines += [
            f"a=rtpmap:{events} {EVENTS}",
            f"a=fmtp:{events} 0-15",
            f"a=ptime:{PTIME_MS}",
            "a=sendrecv",
        ]
        return self._render_among(_section(lines))

    def read_answer(self, answer: bytes) -> Agreed | AgreedT38:
        """What the other side's answer to `offer` means. Raises SdpError, NotAcceptableError."""
        self._agreed = self._choose(parse_sdp(answer))[1]
        return self._agreed

    def _choose(
        self, description: SessionDescription
    ) -> tuple[MediaDescription, Agreed | AgreedT38]:
        """The first line that fits. Raises NotAcceptableError."""
        for media in description.media:
            if self.takes_t38 and is_t38(media):
                return media, AgreedT38(_remote(media), read_terms(media))
        for media in description.media:
            if media.kind == "audio" and media.port > 0 and media.protocol.upper() == "RTP/AVP":
                wanted = _codec(media, self.codecs)
                if wanted is not None:
                    return media, _agreed(media, *wanted)
        raise NotAcceptableError

    def _answer_section(self, agreed: Agreed, direction: str) -> str:
        number, events, noise = agreed.payload_type, agreed.event_type, agreed.noise_type
        numbers = " ".join(str(each) for each in (number, noise, events) if each is not None)
        lines = [f"m=audio {self.port} RTP/AVP {numbers}"]
        lines += _codec_lines(agreed.codec, number, agreed.parameters)
        if noise is not None:
            lines.append(f"a=rtpmap:{noise} {COMFORT_NOISE.upper()}")
        if events is not None:
            lines += [f"a=rtpmap:{events} {EVENTS}", f"a=fmtp:{events} 0-15"]
        lines += [f"a=ptime:{agreed.ptime_ms}", f"a={direction}"]
        return _section(lines)

    def _render_among(self, ours: str) -> bytes:
        """A description with our section in its place and the others refused."""
        sections = [ours if line is None else _refusal(line) for line in self._lines or [None]]
        self.version += 1
        return render_sdp(self.host, self.session_id, self.version, sections)


def is_t38_alone(offer: bytes) -> bool:
    """Whether an offer has T.38 and nothing that could be spoken over; False for any rubbish."""
    try:
        media = parse_sdp(offer).media
    except SdpError:
        return False
    return any(map(is_t38, media)) and not any(
        each.kind == "audio" and each.port > 0 for each in media
    )


def _section(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _codec_lines(codec: Codec, number: int, parameters: str) -> list[str]:
    lines = [f"a=rtpmap:{number} {codec.name}/8000"]
    return [*lines, f"a=fmtp:{number} {parameters}"] if parameters else lines


def _codec(media: MediaDescription, codecs: Codecs) -> tuple[Codec, int] | None:
    """The offerer's most wanted of ours, and its number; one that keeps tones first."""
    known = []
    for number in media.formats:
        if not (number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < 128):
            continue
        mapping = media.mapping(number)  # a static number may be mapped to something else
        codec = codecs.numbered(int(number)) if mapping is None else codecs.named(mapping)
        if codec is not None:
            known.append((codec, int(number)))
    return next((each for each in known if each[0].waveform), known[0] if known else None)


def _agreed(media: MediaDescription, codec: Codec, payload_type: int) -> Agreed:
    direction, held = media.direction, media.host in _HOLD
    return Agreed(
        remote=_remote(media),
        codec=codec,
        payload_type=payload_type,
        event_type=_mapped(media, EVENTS),
        ptime_ms=_ptime(media),
        sends=direction in {"sendrecv", "recvonly"} and not held,
        receives=direction in {"sendrecv", "sendonly"} and not held,
        noise_type=_noise(media),
        rtcp=_rtcp(media),
        parameters=codec.parameters(media.parameters(str(payload_type))),
    )


def _mapped(media: MediaDescription, encoding: str) -> int | None:
    """The dynamic number that a=rtpmap gives an encoding."""
    for number in media.formats:
        dynamic = number.isascii() and number.isdigit() and 96 <= int(number[:4]) <= 127
        if dynamic and media.mapping(number) == encoding:
            return int(number)
    return None


def _noise(media: MediaDescription) -> int | None:
    static = str(COMFORT_NOISE_TYPE)
    if static in media.formats and media.mapping(static) in {None, COMFORT_NOISE}:
        return COMFORT_NOISE_TYPE
    return _mapped(media, COMFORT_NOISE)


def _ptime(media: MediaDescription) -> int:
    """What they ask for (a=ptime, else 20 ms) and can take (a=maxptime), as far as we send it."""
    wanted = min(_milliseconds(media, "ptime", PTIME_MS), _milliseconds(media, "maxptime", 1000))
    return max((each for each in PTIMES_MS if each <= wanted), default=PTIMES_MS[0])


def _milliseconds(media: MediaDescription, name: str, default: int) -> int:
    text = media.attribute(name) or ""
    valid = text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0
    return int(text) if valid else default


def _rtcp(media: MediaDescription) -> tuple[str, int] | None:
    """`a=rtcp:53020 [IN IP4 host]`; only on the host of the media, for reports go nowhere else."""
    words = (media.attribute("rtcp") or "").split()
    remote = _remote(media)
    if remote is None or not words or not (words[0].isascii() and words[0].isdigit()):
        return None
    elsewhere = len(words) == 4 and words[3] != media.host
    valid = len(words[0]) <= 5 and 0 < int(words[0]) < 65_536
    return (remote[0], int(words[0])) if valid and not elsewhere else None


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
