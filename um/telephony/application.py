"""What a telephone application sees of a call, and what the telephony server asks of one.

Voicemail and fax implement `CallApplication`; `um.app` registers them. Audio crosses this border as
signed 16-bit linear samples in native byte order, mono, 8000 a second: companding is the codec's.
All methods are called on the loop's thread. `Call` methods never block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from socket import socket
from typing import Protocol

from um.core.account import Account, Number
from um.telephony.t38 import T38Terms

SAMPLE_RATE = 8000


class DivertCause(StrEnum):
    """Why the call came to us (RFC 4458 §2, RFC 5806): picks the greeting."""

    DIRECT = "direct"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    UNCONDITIONAL = "unconditional"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What is known of a call when it is offered. Text is cleaned of control characters."""

    call_id: str
    dialled: str
    """User part or number that chose the mailbox, as the core wrote it."""
    caller_number: str
    """As received, normalised to E.164 where possible; empty if withheld."""
    caller_name: str
    """As received; `anonymous` if withheld."""
    cause: DivertCause
    peer: str
    """Address of the core, for logs."""
    line: str = ""
    """The number that calls, also of a caller who withholds it: it picks an owner's own mailbox and is
    told to nobody."""
    is_vouched_for: bool = False
    """`line` is asserted by a core that is trusted to (RFC 3325), not just claimed in From."""


class EndReason(StrEnum):
    """How a call ended."""

    CALLER = "caller"
    """BYE or CANCEL from the far end."""
    ELSEWHERE = "elsewhere"
    """CANCEL because another telephone took the call (RFC 3326): nobody was missed."""
    APPLICATION = "application"
    NO_MEDIA = "no-media"
    """30 s without RTP."""
    EXPIRED = "expired"
    """The session was not refreshed (RFC 4028)."""
    TRANSFERRED = "transferred"
    """The core has the caller now (`Call.transfer`)."""
    TOO_LONG = "too-long"
    DRAIN = "drain"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class MediaHandOver:
    """A media socket with all it takes to go on where we stopped (for the fax child process).

    The receiver owns `socket` (UDP, bound; closed by it). `payload_type` 0 is PCMU, 8 PCMA.
    """

    socket: socket = field(repr=False)
    remote: tuple[str, int]
    payload_type: int
    ptime_ms: int
    next_sequence: int
    next_timestamp: int
    ssrc: int
    t38: T38Terms | None = None
    """What the peer said of its T.38: it speaks UDPTL from the start, and no RTP."""
    core: str = ""
    """The host that signals: media may come from there though `remote` is another."""


@dataclass(frozen=True, slots=True)
class FaxMedia:
    """How a fax goes on, on the same socket of ours: in T.38 when `t38` is given, else in G.711."""

    remote: tuple[str, int]
    payload_type: int
    t38: T38Terms | None


class Call(Protocol):
    """One call, as its application may use it."""

    @property
    def info(self) -> CallInfo: ...
    @property
    def account(self) -> Account: ...
    @property
    def number(self) -> Number: ...
    @property
    def waveform(self) -> bool:
        """Whether what was agreed keeps waveforms (G.711): tones are the caller's, a modem survives.

        False before the answer.
        """
        ...

    def answer(self) -> None:
        """Send the 200 OK with our SDP answer; `CallApplication.answered` follows at the ACK."""
        ...

    def reject(self, status: int, reason: str) -> None:
        """Refuse before answering, with a SIP status (486, 480, 404 and so on)."""
        ...

    def play(self, samples: bytes) -> None:
        """Queue samples to be spoken after those already queued."""
        ...

    def stop_playing(self) -> None:
        """Drop what is queued."""
        ...

    def be_at_ease(self, *, at_ease: bool) -> None:
        """Whether what is heard is only kept, and nobody waits for an answer to it.

        Then sound and keys may be told a tenth of a second later, for a fraction of the work. While
        something is played, or the caller does more than to go on speaking, it makes no difference.
        """
        ...

    def hang_up(self) -> None:
        """Send BYE at once. `ended` follows."""
        ...

    def transfer(self, target: str, refused: Callable[[], None]) -> None:
        """Ask the core to connect the caller with `target` instead (REFER, RFC 3515 and 5589).

        Args:
            target: a SIP URI, or an extension at the core that sent the call.
            refused: is called if nothing comes of it; the call goes on until then and after.

        When it succeeds, `ended` follows with `TRANSFERRED`. While it is under way `play` and
        `hang_up` work as ever; a second transfer is refused at once.
        """
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` on the loop; returns its cancel function (harmless when too late)."""
        ...

    def hand_over_media(self) -> MediaHandOver:
        """Stop our own RTP and give the socket away. Signalling stays with this call."""
        ...

    def take_t38(self, changed: Callable[[FaxMedia], None]) -> None:
        """From now on take T.38 when the core offers it, rather than audio beside it.

        `changed` is called whenever both sides agreed on other media after `hand_over_media`.
        """
        ...

    def yield_to_t38(self, make_way: Callable[[], bool]) -> None:
        """Let the core make the call a fax by a re-INVITE to T.38.

        `make_way` says whether the call is given up; if so a HandOver("fax") follows.
        """
        ...

    def offer_t38(self) -> None:
        """Offer T.38 by re-INVITE. G.711 goes on until it is taken, and if it is refused."""
        ...


class CallApplication(Protocol):
    """The logic of one call."""

    def answered(self) -> None:
        """The call is up (ACK seen): media flows."""
        ...

    def audio(self, samples: bytes) -> None:
        """Take what the caller said, in order, about 200 ms at a time (at ease 500 ms).

        Losses are concealed, so that the samples received have the call's true length.
        """
        ...

    def digit(self, digit: str) -> None:
        """One key press: `0`-`9`, `*`, `#`, `A`-`D` (RFC 4733), once per press."""
        ...

    def playback_finished(self) -> None:
        """The queue of `play` ran empty."""
        ...

    def ended(self, reason: EndReason) -> None:
        """The call is over; nothing more can be sent. Called exactly once.

        Also when the caller gave up before `answered`; not after `reject` or a HandOver of its own.
        """
        ...


class HandOver(Exception):  # noqa: N818 - a decision, not an error
    """Raised by an application to hand the call to another one, e.g. HandOver("fax").

    From `audio` or any other method of it, or from a callback of `Call.call_later`; after that the
    application hears no more of the call.
    """

    def __init__(self, application: str) -> None:
        self.application = application
        super().__init__(application)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that is not taken: the SIP status, and an announcement to play instead if there is one.

    With an announcement the call is answered, the announcement spoken, and hung up.
    """

    status: int
    reason: str
    announcement: str | None = None
    language: str = ""
    """Of the announcement; empty: the house's."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an offered call goes."""

    application: str
    """Name in the registry: `voice` or `fax`."""
    account: Account
    number: Number


class Router(Protocol):
    """Port: finds the mailbox. Implemented over the services by `um.app`."""

    async def route(self, candidates: list[str], info: CallInfo) -> Route | Refusal:
        """The first of `candidates` (dialled names, in order of trust) that is a number of ours.

        404 if none is. Never raises; storage trouble is Refusal(503).
        """
        ...


ApplicationFactory = Callable[[Call], CallApplication]


class ToneDetector(Protocol):
    """Port: hears DTMF and fax tones in the caller's audio (implemented in `fax.spandsp`)."""

    def feed(self, samples: bytes) -> list[str]:
        """Tones that ended or were recognised: `0`-`9 * # A-D`, `CNG`, `CED`, `V21`.

        `V21` is the preamble of T.30 messages. Which of these are listened for is the detector's.
        """
        ...
