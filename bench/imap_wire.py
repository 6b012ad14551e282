"""The fastest possible IMAP client: one socket, whole answers, no parsing beyond literals."""

import socket
import ssl
import time


class Wire:
    """One connection. `ask` sends a command and reads up to its tagged answer."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.buffer = bytearray()
        self.number = 0
        self.greeting = self._line()

    def _more(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.buffer += data

    def _line(self) -> bytes:
        start = 0
        while (end := self.buffer.find(b"\r\n", start)) < 0:
            start = max(0, len(self.buffer) - 1)
            self._more()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def ask(self, command: bytes) -> tuple[int, float]:
        """Send `command`; returns (octets of the answer, seconds). Raises if it is not OK."""
        self.number += 1
        tag = b"b%d" % self.number
        start = time.perf_counter()
        self.socket.sendall(tag + b" " + command + b"\r\n")
        octets = self._until(tag)
        return octets, time.perf_counter() - start

    def _until(self, tag: bytes) -> int:
        octets, needle = 0, b"\r\n" + tag + b" "
        tail = b"\r\n"
        while True:
            found = (tail + self.buffer).find(needle)
            if found >= 0:
                ending = bytes((tail + self.buffer)[found + len(needle) :])
                while b"\r\n" not in ending:
                    self._more()
                    ending = bytes((tail + self.buffer)[found + len(needle) :])
                octets += len(self.buffer)
                self.buffer.clear()
                if not ending.startswith(b"OK"):
                    raise RuntimeError(ending.decode(errors="replace"))
                return octets
            keep = bytes(self.buffer[-64:])
            octets += len(self.buffer)
            self.buffer.clear()
            tail = (tail + keep)[-64:] if len(keep) < 64 else keep
            self._more()

    def append(self, message: bytes, mailbox: bytes = b"INBOX") -> float:
        """APPEND with a non-synchronizing literal (RFC 7888); returns seconds."""
        _, seconds = self.ask(b"APPEND " + mailbox + b" {%d+}\r\n" % len(message) + message)
        return seconds

    def close(self) -> None:
        self.socket.close()
