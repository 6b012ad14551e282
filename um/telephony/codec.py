"""Codecs as a registry: what session descriptions call them, and what turns octets into samples.

A `Codec` is a value, one for the process; its `make` gives each call a `Coder` with state of its
own. Every codec here has an RTP clock of 8000 and speaks in samples at 8000 a second (signed 16
bits, native byte order), whatever it does inside: G.722 (clock 8000, RFC 3551 §4.5.2) fits too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol


class Coder(Protocol):
    """Both directions of one codec in one call. Hostile octets give noise, never an error."""

    def length(self, payload: bytes) -> int:
        """How many samples `payload` holds; 0 if it is not of this codec."""
        ...

    def decode(self, payload: bytes) -> bytes:
        """Octets to samples."""
        ...

    def encode(self, samples: bytes) -> bytes:
        """Samples, a multiple of 10 ms, to octets."""
        ...

    def conceal(self, samples: int) -> bytes:
        """At most `samples` samples that cover the beginning of a loss."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec as offers name it."""

    name: str
    """As in a=rtpmap (RFC 3551 §6): `PCMU`."""
    payload_type: int
    """Static number, or the dynamic one of our own offers."""
    make: Callable[[], Coder] = field(repr=False, compare=False)
    waveform: bool = True
    """Keeps tones as they are: fax and in-band digits survive it."""
    parameters: Callable[[str], str] = field(default=lambda _: "", repr=False, compare=False)
    """Our a=fmtp, given theirs; "" for none."""

    @property
    def encoding(self) -> str:
        """As a=rtpmap has it, lower case."""
        return f"{self.name.lower()}/8000"

    @property
    def static(self) -> bool:
        """Whether the number needs no a=rtpmap."""
        return self.payload_type < 96


@dataclass(frozen=True, slots=True)
class Codecs:
    """What we speak, the most wanted first."""

    entries: tuple[Codec, ...]

    def __iter__(self) -> Iterator[Codec]:
        return iter(self.entries)

    def named(self, encoding: str) -> Codec | None:
        """By `name/clock rate`, as in a=rtpmap; one channel may be said or not."""
        wanted = encoding.lower().removesuffix("/1")
        return next((codec for codec in self.entries if codec.encoding == wanted), None)

    def numbered(self, payload_type: int) -> Codec | None:
        """By static payload type."""
        found = (each for each in self.entries if each.static and each.payload_type == payload_type)
        return next(found, None)
