"""One APPEND on its way in: chunks of text and message octets become events (RFC 3502)."""

from collections.abc import Sequence

from imap_server.events import AppendEnded, Event, MessageOffered, MessageReceived
from imap_server.wire.append import AppendParser, Heading, MessageEnd, Octets
from imap_server.wire.commands import Append


class Appending:
    """Feed it each chunk, then the octets of the message that follows it."""

    def __init__(self, tag: bytes, *, utf8: bool) -> None:
        self.tag = tag
        self.begun = False
        """Whether the session has heard of it."""
        self._parser = AppendParser(utf8=utf8)
        self._heading = Heading((), None)
        self._data = b""
        self._binary = False

    def chunk(self, parts: Sequence[bytes], literal_octets: int | None) -> list[Event] | None:
        """What a chunk says, followed by a literal or (None) by the end of the line.

        None: the literal is an argument. Raises BadCommandError.
        """
        steps = self._parser.read(parts, literal=literal_octets is not None)
        if steps is None:
            return None
        append = self._parser.append
        assert append is not None, "a chunk that was read has the command"
        events: list[Event] = []
        for step in steps:
            match step:
                case Heading():
                    self._heading = step
                case Octets():
                    self._binary = step.binary
                    events.append(MessageOffered(self.tag, append, literal_octets or 0))
                case MessageEnd():
                    events.append(self._message(append))
                case _:
                    events.append(AppendEnded(self.tag, append))
        self.begun = True
        return events

    def _message(self, append: Append) -> MessageReceived:
        data, self._data = self._data, b""
        return MessageReceived(self.tag, append, self._heading, data, self._binary)

    def take(self, data: bytes) -> None:
        """The octets that were offered."""
        self._data = data
