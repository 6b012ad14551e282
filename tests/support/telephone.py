"""A scripted telephone: places one real call over SIP and RTP, says and does what it is told.

Written apart from the server's engines, on plain sockets, in the caller's thread (from asyncio:
`await asyncio.to_thread(Telephone().call, …)`). A call is a list of steps:

    report = Telephone().call(
        ("127.0.0.1", 5070),
        "sip:+15551230001@127.0.0.1:5070",
        [WaitForBeep(), Say(samples), HangUp()],
        caller="+15559870001",
        caller_name="Alice",
    )
    assert report.status == 200

While a step waits, silence is sent (real telephones do), unless it says otherwise. Samples are
signed 16 bits, native byte order, mono, 8000 a second. A fax machine is a `Machine` step: every
20 ms its callback is given what was heard and returns the 160 samples to send.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.media_socket import MediaSocket
from tests.support.relay import RtpRelay
from tests.support.telephone_rtp import (
    FRAME_OCTETS,
    FRAME_SECONDS,
    BeepDetector,
    Impairments,
    RtpListener,
    RtpSender,
)
from tests.support.telephone_sip import (
    Address,
    Identity,
    SipMessage,
    media_address,
    offer,
    read_message,
)
from tests.support.telephone_stream import StreamSocket

__all__ = [
    "CallReport",
    "Cancel",
    "HangUp",
    "Hold",
    "Impairments",
    "Inform",
    "Machine",
    "Move",
    "Mute",
    "Noise",
    "Press",
    "Say",
    "Silence",
    "Step",
    "Telephone",
    "WaitForBeep",
    "WaitForHangUp",
]

BEEP_SECONDS = 0.4
"""The length of a beep."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send a recording, paced in real time."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class Silence:
    """Send silence for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Mute:
    """Send no packets at all for so long: discontinuous transmission, or a dead network."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys, 100 ms each with 100 ms between them, as RFC 4733 events."""

    digits: str


@dataclass(frozen=True, slots=True)
class Inform:
    """Press keys by SIP INFO, 200 ms apart."""

    digits: str
    content_type: str = "application/dtmf-relay"


@dataclass(frozen=True, slots=True)
class Move:
    """A re-INVITE from another media address: the rest of the call's packets leave there."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Comfort noise: one packet, then nothing for so long."""

    seconds: float
    level: int = 60


@dataclass(frozen=True, slots=True)
class WaitForBeep:
    """Listen until a beep is over. A beep that does not come raises TimeoutError."""

    timeout_seconds: float = 60.0
    whole_seconds: float = BEEP_SECONDS
    """Its length: if nothing follows a shorter one, its sender has a second to go on."""


@dataclass(frozen=True, slots=True)
class WaitForHangUp:
    """Go on until the server hangs up. If it does not, TimeoutError."""

    timeout_seconds: float = 60.0
    silent: bool = False
    """Send no packets meanwhile."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A re-INVITE that changes the direction (`sendonly`: hold, `sendrecv`: take back)."""

    direction: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine has the line: each 20 ms it hears, and says 160 samples; until it is done."""

    callback: Callable[[bytes], bytes]
    """Given the samples heard since the last time (any length, also none)."""
    done: Callable[[], bool]
    timeout_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Cancel:
    """As the first step: CANCEL after so long, if the call was not answered before."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Send BYE. A script that ends does so anyway."""


Step = (
    Say
    | Silence
    | Mute
    | Press
    | Inform
    | Move
    | Noise
    | WaitForBeep
    | WaitForHangUp
    | Hold
    | Machine
    | Cancel
    | HangUp
)


@dataclass(slots=True)
class CallReport:
    """What came of a call."""

    status: int = 0
    """Final status of the INVITE; 0 if there was none."""
    reason: str = ""
    provisional: list[int] = field(default_factory=list)
    hung_up_by_server: bool = False
    heard: bytes = b""
    """All that was heard, in its place in time."""
    heard_packets: int = 0
    heard_gaps: int = 0
    beeped: bool = False
    seconds: float = 0.0
    """From answer to end."""
    call_id: str = ""
    answer: SipMessage | None = None
    """The final response."""
    bye_status: int = 0
    """Answer to our BYE."""


class Telephone:
    """A telephone on one local address.

    Args:
        local_host: where it calls from.
        payload_type: 0 PCMU, 8 PCMA.
        impairments: of the network that its sound goes through.
        transport: of its signalling: UDP, TCP or TLS.
        trusted: the certificate that TLS accepts.
        credentials: user name and password, given when asked for.
    """

    def __init__(
        self,
        local_host: str = "127.0.0.1",
        *,
        payload_type: int = 0,
        impairments: Impairments | None = None,
        events: bool = True,
        ptime_ms: int = 20,
        relay: RtpRelay | None = None,
        transport: str = "UDP",
        trusted: Path | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """Args: events: offer telephone events; ptime_ms: asked for; relay: carries our media."""
        self._local_host = local_host
        self._payload_type = payload_type
        self._transport = transport
        self._trusted = trusted
        self._credentials = credentials
        self._impairments = impairments or Impairments()
        self._events = events
        self._ptime_ms = ptime_ms
        self._relay = relay

    def call(
        self,
        server: Address,
        uri: str,
        steps: Sequence[Step],
        *,
        caller: str = "+15550001111",
        caller_name: str = "",
        headers: Sequence[tuple[str, str]] = (),
        with_offer: bool = True,
        answer_timeout_seconds: float = 10.0,
    ) -> CallReport:
        """Place one call and play `steps`; blocks until it is over.

        Args:
            server: where the INVITE goes.
            uri: its Request-URI, with RFC 4458 parameters where wanted.
            steps: what is done after the answer (and `Cancel` before it).
            caller: user part of From.
            caller_name: display name of From.
            headers: more header lines of the INVITE, such as ("Diversion", "<sip:…>;reason=…").
            with_offer: False leaves the SDP offer to the server; ours then stands in the ACK.
            answer_timeout_seconds: TimeoutError when no final response came by then.

        A refused call is no error: see `CallReport.status`.
        """
        name = f'"{caller_name}" ' if caller_name else ""
        with self._signalling_socket(server) as sip, MediaSocket(self._local_host) as rtp:
            identity = Identity(
                sip.getsockname()[:2],
                uri,
                f"{name}<sip:{caller}@{_bracketed(self._local_host)}>",
                self._transport,
                tuple(headers),
            )
            line = _Line(
                sip,
                rtp,
                server,
                identity,
                RtpSender(self._payload_type, self._impairments),
                RtpListener(self._payload_type),
                events=self._events,
                ptime_ms=self._ptime_ms,
                relay=self._relay,
                credentials=self._credentials,
            )
            line.report.call_id = identity.call_id
            try:
                line.run(steps, with_offer=with_offer, timeout_seconds=answer_timeout_seconds)
            finally:
                line.rtp.close()  # another one than ours after a Move
            return line.report

    def _signalling_socket(self, server: Address) -> "socket.socket | StreamSocket":
        if self._transport != "UDP":
            trusted = self._trusted if self._transport == "TLS" else None
            return StreamSocket(server, self._local_host, trusted=trusted)
        family = socket.AF_INET6 if ":" in self._local_host else socket.AF_INET
        sip = socket.socket(family, socket.SOCK_DGRAM)
        sip.bind((self._local_host, 0))
        sip.setblocking(False)
        return sip


@dataclass(slots=True)
class _Line:
    """One call in progress."""

    sip: socket.socket | StreamSocket
    rtp: socket.socket
    server: Address
    identity: Identity
    sender: RtpSender
    listener: RtpListener
    events: bool = True
    ptime_ms: int = 20
    relay: RtpRelay | None = None
    credentials: tuple[str, str] | None = None
    report: CallReport = field(default_factory=CallReport)
    beep: BeepDetector = field(default_factory=BeepDetector)
    remote: Address | None = None
    over: bool = False
    unheard: bytearray = field(default_factory=bytearray)
    sdp: str = ""
    last_ack: bytes = b""
    heard_at: float = field(default_factory=time.monotonic)
    """When a packet of audio was last taken."""
    beep_seconds: float = BEEP_SECONDS

    def run(self, steps: Sequence[Step], *, with_offer: bool, timeout_seconds: float) -> None:
        self.sdp = self._offer("sendrecv")
        cancel = next((step.after_seconds for step in steps if isinstance(step, Cancel)), None)
        final = self._invite(
            self.identity.invite(self.sdp if with_offer else ""),
            cancel=cancel,
            timeout_seconds=timeout_seconds,
        )
        if final.status == 401 and self.credentials is not None:
            self.identity.authorize(final, *self.credentials)
            self.report.provisional.clear()
            again = self.identity.invite(self.sdp if with_offer else "")
            final = self._invite(again, cancel=cancel, timeout_seconds=timeout_seconds)
        self.report.status, self.report.reason = final.status, final.reason
        self.report.answer = final
        if final.status >= 300:
            return
        self.remote = media_address(final.body)
        if self.relay is not None:
            self.relay.connect(self.remote, self.rtp.getsockname()[:2])
            self.remote = self.relay.address
        started = time.monotonic()
        try:
            self._play(steps)
        finally:
            if not self.over:
                self._hang_up()
            self.report.seconds = time.monotonic() - started
            self.report.heard = self.listener.heard
            self.report.heard_packets = self.listener.packets
            self.report.heard_gaps = self.listener.gaps
            self.report.beeped |= self.beep.heard

    # ---- signalling

    def _invite(self, invite: bytes, *, cancel: float | None, timeout_seconds: float) -> SipMessage:
        """Send, repeat until there is an answer (timer A), acknowledge the final response."""
        started = time.monotonic()
        interval, resend, cancelled = 0.5, started, False
        while (now := time.monotonic()) < started + timeout_seconds:
            if cancel is not None and not cancelled and now >= started + cancel:
                self._send(self.identity.cancel())
                cancelled = True
            if now >= resend and not self.report.provisional:
                self._send(invite)
                resend, interval = now + interval, interval * 2
            select.select([self.sip], [], [], 0.01)
            for message in self._messages():
                if message.method != "INVITE" or not message.status:
                    continue
                if message.status < 200:
                    self.report.provisional.append(message.status)
                    continue
                self._acknowledge(message, with_sdp=b"application/sdp" not in invite)
                return message
        raise TimeoutError("no final response to the INVITE")

    def _acknowledge(self, final: SipMessage, *, with_sdp: bool) -> None:
        ack = self.identity.acknowledge(final)
        if with_sdp and final.status < 300:  # our answer to the server's offer
            head = ack.replace(b"Content-Length: 0\r\n\r\n", b"Content-Type: application/sdp\r\n")
            ack = head + f"Content-Length: {len(self.sdp)}\r\n\r\n{self.sdp}".encode()
        self.last_ack = ack
        self._send(ack)

    def _hang_up(self) -> None:
        """BYE, repeated until it is answered."""
        self.over = True
        bye = self.identity.bye()
        for _ in range(20):
            self._send(bye)
            select.select([self.sip], [], [], 0.5)
            for message in self._messages():
                if message.method == "BYE" and message.status >= 200:
                    self.report.bye_status = message.status
                    return
        raise TimeoutError("no answer to BYE")

    def _signalling(self) -> None:
        """What the server says during the call."""
        for message in self._messages():
            if message.status == 200 and message.method == "INVITE":
                self._send(self.last_ack)  # our ACK was lost
            elif not message.status and message.method == "BYE":
                self._send(self.identity.ok(message))
                self.report.hung_up_by_server = self.over = True

    def _messages(self) -> Iterator[SipMessage]:
        while True:
            try:
                data = self.sip.recv(65535)
            except BlockingIOError:
                return
            yield read_message(data)

    def _send(self, data: bytes) -> None:
        self.sip.sendto(data, self.server)

    # ---- media

    def _play(self, steps: Sequence[Step]) -> None:
        """Every 20 ms one turn: listen, then send what the present step says."""
        due = time.monotonic()
        for before, step in zip((None, *steps), steps, strict=False):
            self._forget_beep(before, step)
            for packets in self._turns(step):
                for packet in packets:
                    assert self.remote is not None
                    self.rtp.sendto(packet, self.remote)
                due += FRAME_SECONDS
                while (left := due - time.monotonic()) > 0:
                    select.select([self.sip, self.rtp], [], [], left)
                    self._listen()
                now = time.monotonic()  # before listening: we may be held up, too
                self._listen()
                self.beep.hear_nothing(now - self.heard_at, self.beep_seconds)
                if self.over:
                    return

    def _forget_beep(self, before: Step | None, step: Step) -> None:
        """What was heard before is not what `step` waits for.

        But a key may be answered by a beep while it is still pressed, or while we are held up.
        """
        keys = Press | Inform
        if isinstance(step, keys) or (
            isinstance(step, WaitForBeep) and not isinstance(before, keys)
        ):
            self.report.beeped |= self.beep.heard
            self.beep.heard = False

    def _listen(self) -> None:
        self._signalling()
        while True:
            try:
                data, source = self.rtp.recvfrom(2048)
            except BlockingIOError:
                return
            if source[:2] != self.remote:
                continue  # another call's last packets, to a port that was its telephone's
            samples = self.listener.receive(data)
            self.unheard += samples
            if samples:
                self.heard_at = time.monotonic()
                self.beep.feed(samples)

    def _turns(self, step: Step) -> Iterator[list[bytes]]:
        """The packets of each 20 ms of a step."""
        match step:
            case Say(samples):
                for start in range(0, len(samples), FRAME_OCTETS):
                    yield self.sender.frame(samples[start : start + FRAME_OCTETS])
            case Silence(seconds):
                for _ in range(round(seconds / FRAME_SECONDS)):
                    yield self.sender.frame(b"")
            case Mute(seconds):
                for _ in range(round(seconds / FRAME_SECONDS)):
                    self.sender.skip()
                    yield []
            case Press(digits):
                yield from self._presses(digits)
            case WaitForBeep(timeout_seconds, whole_seconds):
                self.beep_seconds = whole_seconds
                yield from self._until(lambda: self.beep.heard, timeout_seconds, "no beep")
            case WaitForHangUp(timeout_seconds, silent):
                yield from self._until(
                    lambda: self.over, timeout_seconds, "no hang-up", silent=silent
                )
            case Machine(callback, done, timeout_seconds):
                yield from self._machine(callback, done, timeout_seconds)
            case Hold(direction):
                self._invite_again(self._offer(direction))
                yield []
            case Move():
                self.rtp.close()
                self.rtp = MediaSocket(self.identity.local[0])
                self._invite_again(self._offer("sendrecv"))
                yield []
            case Noise(seconds, level):
                yield self.sender.noise(level)
                for _ in range(round(seconds / FRAME_SECONDS) - 1):
                    self.sender.skip()
                    yield []
            case Inform(digits, content_type):
                for digit in digits:
                    relay = content_type.endswith("relay")
                    body = f"Signal={digit}\r\nDuration=160\r\n" if relay else digit
                    self._send(self.identity.inform(content_type, body))
                    for _ in range(10):
                        yield self.sender.frame(b"")
            case HangUp():
                self._hang_up()
                yield []
            case Cancel():
                return

    def _offer(self, direction: str) -> str:
        host, port = self.rtp.getsockname()[:2] if self.relay is None else self.relay.offered
        return offer(
            host,
            port,
            payload_type=self.sender.payload_type,
            direction=direction,
            events=self.events,
            ptime_ms=self.ptime_ms,
        )

    def _invite_again(self, sdp: str) -> None:
        self.report.provisional.clear()
        self._invite(self.identity.invite(sdp, again=True), cancel=None, timeout_seconds=5.0)

    def _presses(self, digits: str) -> Iterator[list[bytes]]:
        for digit in digits:
            yield from self.sender.press(digit)
            for _ in range(5):
                yield self.sender.frame(b"")

    def _until(
        self, reached: Callable[[], bool], seconds: float, failure: str, *, silent: bool = False
    ) -> Iterator[list[bytes]]:
        deadline = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > deadline:
                raise TimeoutError(failure)
            if silent:
                self.sender.skip()
            yield [] if silent else self.sender.frame(b"")

    def _machine(
        self, callback: Callable[[bytes], bytes], done: Callable[[], bool], seconds: float
    ) -> Iterator[list[bytes]]:
        self.unheard.clear()
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("the machine did not finish")
            heard = bytes(self.unheard)
            self.unheard.clear()
            yield self.sender.frame(callback(heard))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
