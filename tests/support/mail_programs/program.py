"""What every mail program of the tests can do, and what it is told of its mailbox."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

SEEN, FLAGGED = "\\Seen", "\\Flagged"
NOTED = frozenset({SEEN, FLAGGED})
"""The flags that all programs know."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Where a program finds its INBOX, and a folder of its own for what it keeps."""

    host: str
    port: int
    """Implicit TLS."""
    user: str
    password: str
    authority: Path
    """PEM: who vouches for the server."""
    folder: Path


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as a program shows it."""

    flags: frozenset[str]
    attachments: tuple[str, ...] = ()


class Program(Protocol):
    """A mail program with one account. Use as a context manager.

    `mark` and `delete` are done where the user sits; programs that keep copies tell the server of
    them at the next `sync`.
    """

    def __init__(self, mailbox: Mailbox) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def sync(self) -> Mapping[str, Shown]:
        """Catch up with the server, both ways; then what INBOX shows, by subject."""
        ...

    def mark(self, subject: str, flag: str) -> None:
        """Set a flag of NOTED on a message."""
        ...

    def delete(self, subject: str) -> None:
        """Delete a message the way the program does it: for good, or into Trash."""
        ...


@runtime_checkable
class Told(Protocol):
    """A program that is told of new messages while it does nothing (IDLE)."""

    def wait_for(self, messages: int) -> None:
        """Until INBOX shows so many, without a `sync`."""
        ...


def shown(raw: bytes, flags: Iterable[str]) -> tuple[str, Shown]:
    """Subject and looks of a message that the program has whole."""
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    names = tuple(name for part in message.walk() if (name := part.get_filename()))
    return subject_of(raw), Shown(frozenset(flags) & NOTED, names)


def subject_of(raw: bytes) -> str:
    """The subject, decoded, on one line."""
    return re.sub(r"\s+", " ", str(message_from_bytes(raw, policy=default)["Subject"]))
