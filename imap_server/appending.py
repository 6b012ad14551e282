"""One APPEND on its way in: chunks of text and message octets become events (RFC 3502)."""

from collections.abc import Sequence

from imap_server.events import AppendEnded, Event, MessageOffered, MessageReceived
from imap_server.wire.append import AppendParser, Heading, MessageEnd, Octets, Url
from imap_server.wire.commands import Append


class Appending:
    """Feed it each chunk, then the octets of the message that follows it."""

    def __init__(self, tag: bytes, *, utf8: bool) -> None:
        self.tag = tag
        self.begun = False
        """Whether the session has heard of it."""
        self._parser = AppendParser(utf8=utf8)
        self._heading = Heading((), None)
        self._pieces: list[bytes | Url] = []
        self._held = 0
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
                    self._binary = self._binary or step.binary
                    size = literal_octets or 0
                    events.append(MessageOffered(self.tag, append, size, self._held, step.is_part))
                case Url():
                    self._pieces.append(step)
                case MessageEnd():
                    events.append(self._message(append))
                case _:
                    events.append(AppendEnded(self.tag, append))
        self.begun = True
        return events

    def _message(self, append: Append) -> MessageReceived:
        pieces, binary = self._pieces, self._binary
        self._pieces, self._held, self._binary = [], 0, False
        return MessageReceived(self.tag, append, self._heading, pieces, binary)

    def take(self, data: bytes) -> None:
        """The octets that were offered."""
        self._pieces.append(data)
        self._held += len(data)
