"""The signalling of the scripted telephone over TCP and TLS, with the face of its UDP socket.

Written apart from the server's own framing, so that a mistake in one is seen by the other.
"""

import socket
import ssl
from pathlib import Path
from typing import Self

Address = tuple[str, int]


class StreamSocket:
    """One connection to the server: whole messages in and out.

    Args:
        server: where it connects.
        local_host: from where.
        trusted: the server's certificate (PEM) for TLS, which must name `localhost`; None: TCP.
    """

    def __init__(self, server: Address, local_host: str, *, trusted: Path | None = None) -> None:
        plain = socket.create_connection(server, timeout=10, source_address=(local_host, 0))
        self._socket = plain
        if trusted is not None:
            context = ssl.create_default_context(cafile=str(trusted))
            self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._received = b""
        self._socket.settimeout(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def getsockname(self) -> Address:
        """Our own end."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def sendto(self, data: bytes, _address: Address) -> None:
        """Send one message on the connection."""
        self._socket.settimeout(10)
        self._socket.sendall(data)
        self._socket.settimeout(0)

    def recv(self, size: int) -> bytes:
        """One whole message. Raises BlockingIOError while there is none, ConnectionError at the end."""
        self._fill(size)
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            raise BlockingIOError
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ]
        length = lengths[0]
        if len(rest) < length:
            raise BlockingIOError
        self._received = rest[length:]
        return head + end + rest[:length]

    def _fill(self, size: int) -> None:
        while True:
            try:
                data = self._socket.recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not data:
                if self._received:
                    return
                raise ConnectionError("the server has closed the connection")
            self._received += data
