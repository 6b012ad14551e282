"""The fastest possible IMAP client: one socket, whole answers, no parsing but for the last line."""

import socket
import ssl
import time

TAIL_OCTETS = 512
"""More than any tagged answer here has; one is looked for at the end of what came."""
READ_OCTETS = 1 << 20


class Wire:
    """One connection. `ask` sends a command and reads up to its tagged answer."""

    def __init__(
        self,
        port: int,
        *,
        tls: bool = False,
        starttls: bool = False,
        receive_octets: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        if receive_octets is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
        self.socket.settimeout(120)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = _context().wrap_socket(self.socket)
        self.number = 0
        self._space: memoryview | None = None
        self.tail = b""
        self.greeting = self.line()
        if starttls:
            self.answer(b"STARTTLS")
            self.socket = _context().wrap_socket(self.socket)

    def line(self) -> bytes:
        """The next line, where nothing else is on its way."""
        got = self.socket.recv(65536)
        while not got.endswith(b"\r\n"):
            got += self._some()
        return got

    def _some(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def ask(self, command: bytes) -> tuple[int, float]:
        """Send `command`; returns (octets of the answer, seconds). Raises if it is not OK."""
        tag = self.send(command)
        start = self.sent
        octets = self._until(tag)
        return octets, time.perf_counter() - start

    def send(self, command: bytes) -> bytes:
        """Send `command` and do not wait; returns its tag."""
        self.number += 1
        tag = b"b%d" % self.number
        self.sent = time.perf_counter()
        self.socket.sendall(tag + b" " + command + b"\r\n")
        return tag

    def answer(self, command: bytes) -> bytes:
        """Send `command`; the whole answer, for those that are short."""
        tag = self.send(command)
        got = self._some()
        while not ends(got[-TAIL_OCTETS:], tag):
            got += self._some()
        return got

    def _until(self, tag: bytes) -> int:
        if self._space is None:
            self._space = memoryview(bytearray(READ_OCTETS))
        space, octets, tail = self._space, 0, b""
        while True:
            count = self.socket.recv_into(space)
            if not count:
                raise ConnectionError("the server closed the connection")
            octets += count
            if count >= TAIL_OCTETS:
                tail = bytes(space[count - TAIL_OCTETS : count])
            else:
                tail = (tail + bytes(space[:count]))[-TAIL_OCTETS:]
            if ends(tail, tag):
                self.tail = tail
                return octets

    def append(self, message: bytes, mailbox: bytes = b"INBOX") -> float:
        """APPEND with a non-synchronizing literal (RFC 7888); returns seconds."""
        _, seconds = self.ask(b"APPEND " + mailbox + b" {%d+}\r\n" % len(message) + message)
        return seconds

    def close(self) -> None:
        self.socket.close()


def ends(tail: bytes, tag: bytes) -> bool:
    """Whether the tagged answer is there; raises if it is not OK."""
    if not tail.endswith(b"\r\n"):
        return False
    last = tail[tail.rfind(b"\r\n", 0, -2) + 2 :] if tail.count(b"\r\n") > 1 else tail
    if not last.startswith(tag + b" "):
        return False
    if not last.startswith(tag + b" OK"):
        raise RuntimeError(last.decode(errors="replace"))
    return True


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
