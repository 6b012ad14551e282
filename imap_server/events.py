"""What the engine of a connection tells its session."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imap_server.wire.append import Heading, Url
from imap_server.wire.commands import Append, Command


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A whole command that its state allows."""

    tag: bytes
    name: bytes
    command: Command


@dataclass(frozen=True, slots=True)
class MessageOffered:
    """A message of an APPEND, whose octets wait for `accept_message` or `refuse_message`."""

    tag: bytes
    append: Append
    size_octets: int
    held_octets: int = 0
    """Of the same message, received before (RFC 4469)."""
    is_part: bool = False
    """It is a piece of a message, and may be empty."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """One message of an APPEND is complete; more may follow before the command ends."""

    tag: bytes
    append: Append
    heading: Heading
    pieces: Sequence[bytes | Url] = field(repr=False)
    """Its octets, and what URLs stand for (RFC 4469)."""
    binary: bool = False
    """It may hold NUL (RFC 3516 §4.4)."""


@dataclass(frozen=True, slots=True)
class AppendEnded:
    """The APPEND is complete: its messages are to be stored, and to be answered for."""

    tag: bytes
    append: Append


@dataclass(frozen=True, slots=True)
class AppendBroken:
    """An APPEND of which messages were received has ended with BAD: forget them."""


@dataclass(frozen=True, slots=True)
class LineReceived:
    """A line that was asked for with `ask_line`, without its end."""

    line: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """The engine has said BYE: send what is to be sent and close."""


Event = (
    CommandReceived
    | MessageOffered
    | MessageReceived
    | AppendEnded
    | AppendBroken
    | LineReceived
    | Ended
)
