"""A customer's telephone behind a core: it rings or is busy, asks for its message lamp and sees it.

It answers no call. Plain sockets and a thread, written apart from the server's engines.

    with DeskPhone() as phone:          # rings for ever
        ...
        phone.wait_for("NOTIFY")
"""

import queue
import re
import secrets
import select
import socket
import threading
from collections.abc import Sequence
from typing import Self

from tests.support.telephone_sip import SipMessage, read_message

BUSY, RINGING = "486 Busy Here", "180 Ringing"
LOOPBACK = "127.0.0.1"


class DeskPhone:
    """One telephone on a UDP port of its own; a context manager.

    Args:
        answer: what an INVITE gets.
        number: its user part.
    """

    def __init__(self, answer: str = RINGING, *, number: str = "+15551230001") -> None:
        self.number = number
        self._answer = answer
        self._tag = secrets.token_hex(4)
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        self.port = int(self._socket.getsockname()[1])
        self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: queue.Queue[SipMessage] = queue.Queue()
        self._ringing: dict[str, tuple[SipMessage, tuple[str, int]]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake[0].send(b"x")
        self._thread.join(10)
        for each in (self._socket, *self._wake):
            each.close()

    def wait_for(self, method: str, *, words: str = "", seconds: float = 20.0) -> SipMessage:
        """The next request of that method (or response to it) whose body has `words`.

        What comes before it is forgotten. Raises AssertionError if none comes.
        """
        while True:
            try:
                message = self._seen.get(timeout=seconds)
            except queue.Empty:
                raise AssertionError(f"no {method} with {words!r} within {seconds:g} s") from None
            if message.method == method and words in message.body:
                return message

    def request(self, method: str, uri: str, proxy: tuple[str, int], lines: Sequence[str]) -> None:
        """Send a request outside of any dialog; its responses come by `wait_for`."""
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {LOOPBACK}:{self.port};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.number}@{LOOPBACK}>;tag={self._tag}",
            f"To: <{uri}>",
            f"Call-ID: {secrets.token_hex(8)}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{self.number}@{LOOPBACK}:{self.port}>",
            *lines,
            "Content-Length: 0",
        ]
        self._socket.sendto(("\r\n".join(head) + "\r\n\r\n").encode(), proxy)

    def _run(self) -> None:
        while True:
            readable, _, _ = select.select([self._socket, self._wake[1]], [], [])
            if self._wake[1] in readable:
                return
            data, peer = self._socket.recvfrom(65_535)
            if not data.strip():
                continue  # keep-alive
            message = read_message(data)
            if not message.status:
                self._reply(message, peer)
            self._seen.put(message)

    def _reply(self, request: SipMessage, peer: tuple[str, int]) -> None:
        call = request.get("call-id")
        match request.method:
            case "INVITE":
                self._ringing[call] = (request, peer)
                self._send(self._answer, request, peer)
            case "CANCEL":
                self._send("200 OK", request, peer)
                if call in self._ringing:
                    self._send("487 Request Terminated", *self._ringing.pop(call))
            case "ACK":
                self._ringing.pop(call, None)
            case _:
                self._send("200 OK", request, peer)

    def _send(self, status: str, request: SipMessage, peer: tuple[str, int]) -> None:
        echoed = [
            f"{name}: {self._with_tag(name, value)}"
            for name, value in request.lines
            if name in {"via", "from", "to", "call-id", "cseq", "record-route"}
        ]
        contact = f"Contact: <sip:{self.number}@{LOOPBACK}:{self.port}>"
        lines = [f"SIP/2.0 {status}", *echoed, contact, "Content-Length: 0"]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), peer)

    def _with_tag(self, name: str, value: str) -> str:
        tagged = name != "to" or re.search(r";\s*tag=", value)
        return value if tagged else f"{value};tag={self._tag}"
