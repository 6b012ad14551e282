"""A SIP endpoint on the bench: text in, text out, and a clock that is moved by hand."""

import random
from dataclasses import dataclass, field

from um.core.ports import NoMetrics
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import Event
from um.telephony.sip.layer import Hop

CORE = ("192.0.2.10", 5060)
SDP = (
    "v=0\r\no=core 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class CountedMetrics(NoMetrics):
    """Keeps counts."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def count(self, name: str, amount: float = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount


def request(
    method: str,
    *,
    uri: str = "sip:+15551230001@192.0.2.1",
    branch: str = "z9hG4bKone",
    cseq: int = 1,
    to_tag: str = "",
    from_tag: str = "caller",
    call_id: str = "call-1@core",
    extra: str = "",
    body: str = "",
) -> bytes:
    """One request from the core. `extra`: header lines, each ended by CRLF."""
    to = f"<sip:+15551230001@192.0.2.1>{';tag=' + to_tag if to_tag else ''}"
    kind = "Content-Type: application/sdp\r\n" if body and "Content-Type" not in extra else ""
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.10:5060;branch={branch};rport\r\n"
        f'Max-Forwards: 70\r\nFrom: "Alice" <sip:+15559870001@192.0.2.10>;tag={from_tag}\r\n'
        f"To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:core@192.0.2.10:5060>\r\n{extra}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@dataclass
class Bench:
    """An endpoint with everything around it made visible."""

    now: float = 1000.0
    metrics: CountedMetrics = field(default_factory=CountedMetrics)

    def __post_init__(self) -> None:
        settings = EndpointSettings("192.0.2.1", 5070)
        self.endpoint = Endpoint(settings, random.Random(7), self.metrics)

    def receive(self, data: bytes, address: tuple[str, int] = CORE) -> list[str]:
        """Give a datagram; returns what is sent, as `summary` lines."""
        self.endpoint.receive_datagram(data, address, self.now)
        return self.sent()

    def sent(self) -> list[str]:
        """First words of what left since: `200 INVITE` for responses, `BYE` for requests."""
        self.outgoing = self.endpoint.datagrams_to_send()
        return [summary(data) for data, _ in self.outgoing]

    @property
    def last(self) -> str:
        """The last message sent, whole."""
        return self.outgoing[-1][0].decode()

    @property
    def hop(self) -> Hop:
        """Where the last message went."""
        return self.outgoing[-1][1]

    def events(self) -> list[Event]:
        """Events since the last time."""
        taken = []
        while (event := self.endpoint.next_event()) is not None:
            taken.append(event)
        return taken

    def later(self, seconds: float) -> list[tuple[float, str]]:
        """Let time pass, running timers when they are due: (seconds from now, what was sent)."""
        start, end, sent = self.now, self.now + seconds, []
        while (timer := self.endpoint.get_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.endpoint.handle_timer(self.now)
            sent += [(round(self.now - start, 3), line) for line in self.sent()]
        self.now = end
        return sent

    def offer(self, **parts: str) -> str:
        """A call is offered; returns its name."""
        assert self.receive(request("INVITE", body=SDP, **parts)) == ["100 INVITE"]
        (event,) = self.events()
        return event.call

    def answered(self) -> tuple[str, str]:
        """A call that is up: its name and our tag."""
        call = self.offer()
        self.endpoint.answer(call, SDP.encode(), self.now)
        assert self.sent() == ["200 INVITE"]
        tag = tag_of(self.last)
        self.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
        self.events()
        return call, tag


def replied(
    sent: str, status: int, reason: str, *, extra: str = "", body: str = "", to_tag: str = "core"
) -> bytes:
    """The core's answer to a request of ours. `extra`: header lines, each ended by CRLF."""
    kept = {"Via", "From", "To", "Call-ID", "CSeq"}
    lines = [line for line in sent.split("\r\n") if line.split(":")[0] in kept]
    lines = [
        f"{line};tag={to_tag}" if line.startswith("To:") and ";tag=" not in line else line
        for line in lines
    ]
    head = "\r\n".join([f"SIP/2.0 {status} {reason}", *lines])
    return f"{head}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def summary(data: bytes) -> str:
    """`200 INVITE` or `BYE`."""
    lines = data.decode("utf-8", "replace").split("\r\n")
    words = lines[0].split(" ")
    if words[0] != "SIP/2.0":
        return words[0]
    method = next((line.split()[-1] for line in lines if line.lower().startswith("cseq:")), "")
    return f"{words[1]} {method}".rstrip()


def tag_of(message: str) -> str:
    """The To tag."""
    line = next(line for line in message.split("\r\n") if line.startswith("To:"))
    return line.partition(";tag=")[2]
