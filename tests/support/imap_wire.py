"""An IMAP client of a few lines over a real socket: what programs send that no library can."""

import re
import socket
import ssl
from types import TracebackType
from typing import Self

from tests.support.server import Server

_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")


class ImapWire:
    """One connection over TLS, logged in; `command` sends a line and returns what came back."""

    def __init__(self, server: Server, user: str, password: str) -> None:
        context = ssl.create_default_context(cafile=str(server.certificate))
        context.check_hostname = False
        where = server.address("imaps")
        raw = socket.create_connection((where.host, where.port), timeout=60)
        self._socket = context.wrap_socket(raw)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self._count = 0
        self.command(f'LOGIN {user} "{password}"'.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._socket.close()

    def command(self, line: bytes, *, word: bytes = b"OK") -> list[bytes]:
        """The untagged responses, whole, and the tagged one as the last; its word is checked."""
        self._count += 1
        tag = b"t%d" % self._count
        self._socket.sendall(tag + b" " + line + b"\r\n")
        answers = []
        while True:
            answers.append(self.response())
            if answers[-1].startswith(tag + b" "):
                assert answers[-1].split()[1] == word, answers
                return answers

    def response(self) -> bytes:
        """One response with its literals."""
        whole = b""
        while True:
            line = self._file.readline()
            assert line, "the server has closed"
            whole += line
            match = _LITERAL.search(line)
            if match is None:
                return whole
            whole += self._file.read(int(match[1]))
