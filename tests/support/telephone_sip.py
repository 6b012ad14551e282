"""The SIP of the scripted telephone: just enough of a UAC, written apart from `um.telephony`.

Nothing here is shared with the server's own engines, so that a mistake in one is seen by the other.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A message as the telephone reads it: start line, header lines in order, body."""

    start: str
    lines: tuple[tuple[str, str], ...]
    body: str

    @property
    def status(self) -> int:
        """Status of a response; 0 of a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2] if self.status else ""

    @property
    def method(self) -> str:
        """Method of a request; of a response, the method in its CSeq."""
        return self.get("cseq").split()[1] if self.status else self.start.split(" ")[0]

    def get(self, name: str) -> str:
        """Value of the first header line of that (long, lower case) name; "" if there is none."""
        return next((value for key, value in self.lines if key == name), "")

    def all(self, name: str) -> list[str]:
        """Values of all header lines of that name."""
        return [value for key, value in self.lines if key == name]

    @property
    def contact_uri(self) -> str:
        value = self.get("contact")
        return value.partition("<")[2].partition(">")[0] or value


def read_message(data: bytes) -> SipMessage:
    """Read a datagram from the server. Raises ValueError if it is not well formed."""
    head, end, body = data.decode("utf-8").partition("\r\n\r\n")
    if not end:
        raise ValueError("SIP message without an empty line")
    start, *rest = head.split("\r\n")
    lines = []
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"SIP header line without a colon: {line!r}")
        lines.append((name.strip().lower(), value.strip()))
    message = SipMessage(start, tuple(lines), body)
    if message.get("content-length") != str(len(body.encode())):
        raise ValueError("Content-Length is not the length of the body")
    return message


@dataclass(slots=True)
class Identity:
    """One call as its caller signals it: makes the requests and remembers the dialog."""

    local: Address
    request_uri: str
    from_value: str
    """Without tag."""
    transport: str = "UDP"
    headers: tuple[tuple[str, str], ...] = ()
    """More header lines of the INVITE: Diversion, P-Asserted-Identity and so on."""
    call_id: str = field(default_factory=lambda: secrets.token_hex(12))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    branch: str = field(default_factory=lambda: "z9hG4bK" + secrets.token_hex(8))
    cseq: int = 1
    to_value: str = ""
    target: str = ""

    def invite(self, sdp: str, *, again: bool = False) -> bytes:
        """The INVITE; `again` makes a re-INVITE inside the dialog."""
        if again:
            self.cseq += 1
            self.branch = "z9hG4bK" + secrets.token_hex(8)
        extra = [*([] if again else self.headers)]
        if sdp:
            extra.append(("Content-Type", "application/sdp"))
        return self._request("INVITE", self.branch, extra, sdp)

    def authorize(self, challenged: SipMessage, username: str, password: str) -> None:
        """Answer the first challenge in the next INVITE, with a new number and branch."""
        challenge = challenged.get("www-authenticate")
        given = dict(re.findall(r'(\w+)="?([^",]+)', challenge))
        algorithm = given["algorithm"].replace("-", "").lower()

        def digest(text: str) -> str:
            return hashlib.new(algorithm, text.encode()).hexdigest()

        first = digest(f"{username}:{given['realm']}:{password}")
        second = digest(f"INVITE:{self.request_uri}")
        response = digest(f"{first}:{given['nonce']}:00000001:c0ffee:auth:{second}")
        value = (
            f'Digest username="{username}", realm="{given["realm"]}", nonce="{given["nonce"]}", '
            f'uri="{self.request_uri}", response="{response}", algorithm={given["algorithm"]}, '
            'cnonce="c0ffee", qop=auth, nc=00000001'
        )
        self.headers = (*self.headers, ("Authorization", value))
        self.to_value = ""
        self.cseq += 1
        self.branch = "z9hG4bK" + secrets.token_hex(8)

    def cancel(self) -> bytes:
        """CANCEL of the INVITE: its branch and its number (RFC 3261 §9.1)."""
        return self._request("CANCEL", self.branch, [], "")

    def acknowledge(self, response: SipMessage) -> bytes:
        """ACK: of a 2xx in the dialog on a new branch, of a failure on the INVITE's own."""
        self.to_value = response.get("to")
        if response.status < 300:
            self.target = response.contact_uri
            return self._request("ACK", "z9hG4bK" + secrets.token_hex(8), [], "")
        return self._request("ACK", self.branch, [], "")

    def bye(self) -> bytes:
        """BYE in the dialog."""
        self.cseq += 1
        return self._request("BYE", "z9hG4bK" + secrets.token_hex(8), [], "")

    def inform(self, content_type: str, body: str) -> bytes:
        """INFO in the dialog."""
        self.cseq += 1
        branch = "z9hG4bK" + secrets.token_hex(8)
        return self._request("INFO", branch, [("Content-Type", content_type)], body)

    def ok(self, request: SipMessage) -> bytes:
        """200 OK to a request of the server (BYE)."""
        echoed = [
            f"{name}: {value}"
            for name, value in request.lines
            if name in {"via", "from", "to", "call-id", "cseq"}
        ]
        return _encode("SIP/2.0 200 OK", echoed, "")

    def _request(self, method: str, branch: str, extra: list[tuple[str, str]], body: str) -> bytes:
        place = _place(self.local)
        parameter = "" if self.transport == "UDP" else f";transport={self.transport.lower()}"
        lines = [
            f"Via: SIP/2.0/{self.transport} {place};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {self.from_value};tag={self.tag}",
            f"To: {self.to_value or f'<{self.request_uri}>'}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:phone@{place}{parameter}>",
            *(f"{name}: {value}" for name, value in extra),
        ]
        return _encode(f"{method} {self.target or self.request_uri} SIP/2.0", lines, body)


def _place(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _encode(start: str, lines: list[str], body: str) -> bytes:
    head = "\r\n".join([start, *lines, f"Content-Length: {len(body.encode())}"])
    return f"{head}\r\n\r\n{body}".encode()


def offer(
    host: str,
    port: int,
    *,
    payload_type: int,
    direction: str = "sendrecv",
    events: bool = True,
    ptime_ms: int = 20,
) -> str:
    """An SDP offer of one codec, comfort noise and, if wanted, telephone events on 101."""
    family = "IP6" if ":" in host else "IP4"
    name = {0: "PCMU", 8: "PCMA", 18: "G729"}[payload_type]
    keys = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n" if events else ""
    return (
        f"v=0\r\no=phone 1 1 IN {family} {host}\r\ns=call\r\nc=IN {family} {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payload_type} 13{' 101' if events else ''}\r\n"
        f"a=rtpmap:{payload_type} {name}/8000\r\n{keys}a=ptime:{ptime_ms}\r\na={direction}\r\n"
    )


def media_address(sdp: str) -> Address:
    """Where the answer wants audio. Raises ValueError if it accepts none."""
    host, port = "", 0
    for line in sdp.splitlines():
        if line.startswith("c="):
            host = line.split()[2]
        elif line.startswith("m=audio ") and not port:
            port = int(line.split()[1])
    if not host or not port:
        raise ValueError("no audio in the answer")
    return host, port
