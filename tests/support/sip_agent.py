"""A telephone or core that is told of waiting messages: a small user agent over one UDP socket.

Written apart from `um.telephony`. It answers every NOTIFY and OPTIONS, as it is told to, in a
thread of its own, and keeps what it took; it can subscribe.
"""

import re
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from tests.support.telephone_sip import SipMessage, read_message

WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Notice:
    """One NOTIFY as it came; `new` and `old` are of its Voice-Message line."""

    at: float
    message: SipMessage
    waiting: bool
    number: str
    voice: str
    fax: str

    @property
    def state(self) -> str:
        return self.message.get("subscription-state")


def _notice(message: SipMessage, at: float) -> Notice:
    lines = dict(line.split(": ", 1) for line in message.body.split("\r\n") if line)
    account = re.fullmatch(r"sip:(.+)@um\.example\.net", lines["Message-Account"])
    assert account, message.body
    return Notice(
        at,
        message,
        {"yes": True, "no": False}[lines["Messages-Waiting"]],
        account[1],
        lines["Voice-Message"],
        lines["Fax-Message"],
    )


@dataclass
class Agent:
    """Use it as a context manager: the socket is open inside."""

    port: int = 0
    status: str = "200 OK"
    """How NOTIFYs are answered; "" for not at all."""
    notices: list[Notice] = field(default_factory=list)
    pings: int = 0
    deaf: bool = False
    """Nothing is answered, as by a core that is down."""
    missed: int = 0
    """Datagrams that came while deaf."""

    def __enter__(self) -> Self:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self._changed = threading.Condition()
        self._responses: list[SipMessage] = []
        self._seen: dict[str, str] = {}
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        self.socket.close()

    @property
    def uri(self) -> str:
        return f"sip:127.0.0.1:{self.port}"

    def wait_for(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[Notice]:
        """At least so many NOTIFYs in all."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.notices) >= count, seconds)
            assert done, f"{len(self.notices)} NOTIFYs instead of {count}: {self.notices}"
            return list(self.notices)

    def wait_missed(self, count: int) -> None:
        """So many datagrams went by while deaf."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.missed >= count, WAIT_SECONDS)

    def wait_until(self, voice: str, *, seconds: float = WAIT_SECONDS) -> Notice:
        """The NOTIFY that came last says `voice`, now or soon."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: bool(self.notices) and self.notices[-1].voice == voice, seconds
            )
            assert done, f"not {voice}: {[each.voice for each in self.notices]}"
            return self.notices[-1]

    def subscribe(
        self,
        server: tuple[str, int],
        number: str,
        *,
        expires: int = 600,
        event: str = "message-summary",
        within: SipMessage | None = None,
        cseq: int = 1,
    ) -> SipMessage:
        """SUBSCRIBE and its final response; `within` is an earlier 200, to refresh that."""
        to = within.get("to") if within else f"<sip:{number}@127.0.0.1>"
        source = (
            within.get("from") if within else f"<sip:phone@127.0.0.1>;tag={secrets.token_hex(4)}"
        )
        call_id = within.get("call-id") if within else secrets.token_hex(8)
        branch = "z9hG4bK" + secrets.token_hex(8)
        lines = [
            f"SUBSCRIBE sip:{number}@{server[0]}:{server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {source}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} SUBSCRIBE",
            f"Contact: <sip:phone@127.0.0.1:{self.port}>",
            f"Event: {event}",
            f"Expires: {expires}",
            "Content-Length: 0",
        ]
        self.socket.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), server)
        with self._changed:
            done = self._changed.wait_for(lambda: self._response(branch) is not None, WAIT_SECONDS)
            response = self._response(branch)
            assert done
            assert response
            return response

    def _response(self, branch: str) -> SipMessage | None:
        return next((each for each in self._responses if branch in each.get("via")), None)

    def _serve(self) -> None:
        while self._open:
            try:
                data, address = self.socket.recvfrom(65_535)
            except TimeoutError:
                continue
            message = read_message(data)
            with self._changed:
                self._take(message, address)
                self._changed.notify_all()

    def _take(self, message: SipMessage, address: tuple[str, int]) -> None:
        if message.status:
            self._responses.append(message)
            return
        if self.deaf:
            self.missed += 1
            return
        if message.method == "NOTIFY" and not self.status:
            return
        status = self.status if message.method == "NOTIFY" else "200 OK"
        branch = message.get("via")
        first = branch not in self._seen
        self._seen.setdefault(branch, status)
        echoed = [
            f"{name}: {value}"
            for name, value in message.lines
            if name in {"via", "from", "to", "call-id", "cseq"}
        ]
        answer = [f"SIP/2.0 {self._seen[branch]}", *echoed, "Content-Length: 0", "", ""]
        self.socket.sendto("\r\n".join(answer).encode(), address)
        if message.method != "NOTIFY":
            self.pings += 1
        elif first:
            self.notices.append(_notice(message, time.monotonic()))
