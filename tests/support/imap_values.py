"""An IMAP client that understands all it is told and nothing of what it means: answers as values.

A list is a `list`, a string (quoted or literal) `bytes`, NIL is None, any other atom `str`.
"""

import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Self

ATOM = re.compile(rb"[^ ()\r\n\"{]+(?:\[[^\]]*\](?:<\d+>)?)?")
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
LITERAL = re.compile(rb"~?\{(\d+)\+?\}\r\n")
LITERAL_AT_END = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
SPACES = b" \r\n"


@dataclass(slots=True)
class Answer:
    """What a command was answered."""

    word: str
    """OK, NO or BAD."""
    text: str
    lines: list[list[Any]] = field(default_factory=list)
    """Untagged responses, without the star."""

    def fetched(self) -> dict[int, dict[str, Any]]:
        """FETCH responses: for each message number its items by name."""
        found: dict[int, dict[str, Any]] = {}
        for line in self.lines:
            if len(line) == 3 and line[1] == "FETCH":
                pairs = iter(line[2])
                found.setdefault(int(line[0]), {}).update(zip(pairs, pairs, strict=True))
        return found


class Values:
    """A connection; use as a context manager."""

    def __init__(self, wire: socket.socket) -> None:
        self._socket = wire
        self._file = wire.makefile("rb")
        self._commands = 0
        self._line()  # the greeting

    @classmethod
    def over_tls(cls, host: str, port: int) -> "Values":
        """A connection to whoever listens there, with any certificate."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls(context.wrap_socket(socket.create_connection((host, port), timeout=60)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, command: bytes) -> Answer:
        """Send a command (literals in it as they are) and read all that is answered."""
        self._commands += 1
        tag = b"v%d" % self._commands
        self._socket.sendall(tag + b" " + command + b"\r\n")
        lines = []
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                _, word, text = line.rstrip(b"\r\n").split(b" ", 2)
                return Answer(word.decode(), text.decode(errors="replace"), lines)
            if line.startswith(b"* ") and not re.match(rb"\* (OK|NO|BAD|BYE|FLAGS) ", line):
                lines.append(values(line[2:]))

    def must(self, command: bytes) -> Answer:
        """As `ask`; raises AssertionError unless it is OK."""
        answer = self.ask(command)
        assert answer.word == "OK", (command[:200], answer.word, answer.text)
        return answer

    def append(self, message: bytes, mailbox: bytes = b"INBOX", extra: bytes = b"") -> None:
        """Put a message into a mailbox; `extra` stands before it, such as flags and a space."""
        self.must(b"APPEND %b %b{%d+}\r\n%b" % (mailbox, extra, len(message), message))

    def _line(self) -> bytes:
        """One response, its literals included."""
        line = self._file.readline()
        while match := LITERAL_AT_END.search(line[-40:]):
            line += self._file.read(int(match[1])) + self._file.readline()
        if not line:
            raise ConnectionError("the server closed the connection")
        return line


def values(line: bytes) -> list[Any]:
    """All values of a response line. Raises ValueError where it is no IMAP."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(line):
        octet = line[at : at + 1]
        if octet in (b" ", b"\r", b"\n"):
            at += 1
        elif octet == b"(":
            stack.append([])
            at += 1
        elif octet == b")":
            closed = stack.pop()
            stack[-1].append(closed)
            at += 1
        elif match := QUOTED.match(line, at):
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[1]))
            at = match.end()
        elif match := LITERAL.match(line, at):
            end = match.end() + int(match[1])
            stack[-1].append(line[match.end() : end])
            at = end
        elif match := ATOM.match(line, at):
            stack[-1].append(None if match[0] == b"NIL" else match[0].decode("utf-8", "replace"))
            at = match.end()
        else:
            raise ValueError(line[at : at + 80])
    if len(stack) != 1:
        raise ValueError(f"parentheses do not match: {line[:200]!r}")
    return stack[0]
