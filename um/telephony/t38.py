"""T.38 in session descriptions: `m=image <port> udptl t38` (RFC 3362, T.38 Annex D).

Reads what is written in the field: attribute names in any case; booleans as a bare name or as
`:0` / `:1`. Any value that cannot be read counts as not said.
"""

from dataclasses import dataclass
from typing import Final

from um.telephony.sdp import MediaDescription
from um.telephony.udptl import ErrorCorrection

UDPTL: Final = "udptl"
VERSION: Final = 0
"""Of T.38 (1998), which every endpoint speaks: no V.34, no other header layout."""
MAX_BIT_RATE: Final = 14_400
MAX_DATAGRAM: Final = 1400
"""What we take, in octets: a whole Ethernet frame with room for tunnels."""
MAX_BUFFER: Final = 2000
DEFAULT_MAX_DATAGRAM: Final = 400
"""Of a peer that says nothing, as Asterisk takes it."""
LEAST_MAX_DATAGRAM: Final = 16
"""Below it the peer cannot mean octets of a datagram: V.21 frames would not fit."""
_LOCAL_TCF: Final = "localtcf"


@dataclass(frozen=True, slots=True)
class T38Terms:
    """What one side says of its T.38."""

    version: int = VERSION
    max_bit_rate: int = MAX_BIT_RATE
    max_datagram: int = DEFAULT_MAX_DATAGRAM
    """The longest datagram it takes, in octets."""
    correction: ErrorCorrection = ErrorCorrection.REDUNDANCY
    """What it can make lost packets good with."""
    local_tcf: bool = False
    """Training checks are made at each end (method 1), not passed through (method 2)."""
    fill_bit_removal: bool = False
    transcoding_mmr: bool = False
    transcoding_jbig: bool = False


OURS: Final = T38Terms(max_datagram=MAX_DATAGRAM)


def is_t38(media: MediaDescription) -> bool:
    """Whether a media line is T.38 over UDPTL that is not refused. T.38 over TCP is none."""
    return (
        media.kind == "image"
        and media.port > 0
        and media.protocol.lower() == UDPTL
        and any(each.lower() == "t38" for each in media.formats)
    )


def read_terms(media: MediaDescription) -> T38Terms:
    """What the attributes of a media line say."""
    return T38Terms(
        version=min(_number(media, "t38faxversion", VERSION), VERSION),
        max_bit_rate=_number(media, "t38maxbitrate", MAX_BIT_RATE) or MAX_BIT_RATE,
        max_datagram=_max_datagram(media),
        correction=_correction(media),
        local_tcf=(media.attribute("t38faxratemanagement") or "").lower() == _LOCAL_TCF,
        fill_bit_removal=_flag(media, "t38faxfillbitremoval"),
        transcoding_mmr=_flag(media, "t38faxtranscodingmmr"),
        transcoding_jbig=_flag(media, "t38faxtranscodingjbig"),
    )


def our_terms(theirs: T38Terms) -> T38Terms:
    """Our answer: their error correction and rate management, and of the rest what we do."""
    return T38Terms(
        max_bit_rate=min(theirs.max_bit_rate, MAX_BIT_RATE),
        max_datagram=MAX_DATAGRAM,
        correction=theirs.correction,
        local_tcf=theirs.local_tcf,
    )


def media_lines(port: int, terms: T38Terms) -> list[str]:
    """The media line with its attributes; what is false is not said (T.38 Annex D.2.3)."""
    return [
        f"m=image {port} {UDPTL} t38",
        f"a=T38FaxVersion:{terms.version}",
        f"a=T38MaxBitRate:{terms.max_bit_rate}",
        f"a=T38FaxRateManagement:{'localTCF' if terms.local_tcf else 'transferredTCF'}",
        f"a=T38FaxMaxBuffer:{MAX_BUFFER}",
        f"a=T38FaxMaxDatagram:{terms.max_datagram}",
        f"a=T38FaxUdpEC:{terms.correction}",
    ]


def _number(media: MediaDescription, name: str, default: int) -> int:
    text = media.attribute(name) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else default


def _flag(media: MediaDescription, name: str) -> bool:
    """Present and not `:0`."""
    value = media.attribute(name)
    return value is not None and value.lower() not in {"0", "false", "no"}


def _max_datagram(media: MediaDescription) -> int:
    said = _number(media, "t38faxmaxdatagram", DEFAULT_MAX_DATAGRAM)
    return said if said >= LEAST_MAX_DATAGRAM else DEFAULT_MAX_DATAGRAM


def _correction(media: MediaDescription) -> ErrorCorrection:
    """Redundancy where nothing is said: any receiver can read it."""
    said = (media.attribute("t38faxudpec") or "").lower()
    known = {each.lower(): each for each in ErrorCorrection}
    return known.get(said, ErrorCorrection.REDUNDANCY)
