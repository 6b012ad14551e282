"""The engine of one connection: octets in, events out, octets to send (RFC 3501 §2.2, §4.3, §7.5).

Laws:
- Nothing is parsed before `next_event` asks for it, so commands run one at a time and a pipelining
  client fills only its own socket: whoever feeds the engine stops while `buffered` is large.
- Whatever the octets, the outcome is an event, a BAD that the engine itself answers, or the end
  (`Ended`, after a BYE). A refused non-synchronizing literal is drained, never read as commands.
- Each message of APPEND is offered before it is asked for: `accept_message` or `refuse_message`.
"""

import re
from collections import deque
from dataclasses import dataclass

from imap_server.appending import Appending
from imap_server.events import (
    AppendBroken,
    AppendEnded,
    CommandReceived,
    Ended,
    Event,
    LineReceived,
    MessageOffered,
    MessageReceived,
)
from imap_server.state import State, refusal
from imap_server.wire import responses
from imap_server.wire.limits import Limits
from imap_server.wire.parser import APPENDS, parse_command, parse_name, parse_short
from imap_server.wire.tokens import BadCommandError, Scanner

_LITERAL = re.compile(rb"\{([0-9]{1,20})(\+?)\}\Z")
_TAG_ALONE = re.compile(rb'([^\x00-\x20(){%*"\\+\x7f-\xff]{1,128})(?= |\Z)')


__all__ = [
    "AppendBroken",
    "AppendEnded",
    "CommandReceived",
    "Connection",
    "Ended",
    "Event",
    "LineReceived",
    "MessageOffered",
    "MessageReceived",
]


@dataclass(slots=True)
class _Literal:
    """A literal on its way in; `data` None: it is drained."""

    left: int
    data: bytearray | None
    message: bool = False
    """It is a message's, not an argument."""


class Connection:
    """One connection's protocol state. Set `state` when a command has changed it."""

    def __init__(self, limits: Limits) -> None:
        self.state = State.NOT_AUTHENTICATED
        self.utf8 = False
        """Whether the client writes UTF-8 (RFC 6855 §3); it has turned that on with ENABLE."""
        self.bad_commands = 0
        """All that were answered with BAD, for the metrics."""
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0
        self._output: list[bytes] = []
        self._bad_in_a_row = 0
        self._line_asked = False
        self._ended = False
        self._no_more = False
        self._events: deque[Event] = deque()
        self._forget_command()

    def _forget_command(self) -> None:
        self._forget_parts()
        self._literal: _Literal | None = None
        self._append: Appending | None = None
        self._offered: tuple[int, bool] | None = None
        self._refusal: bytes | None = None

    def _forget_parts(self) -> None:
        self._parts: list[bytes] = []
        self._line_octets = self._literal_octets = 0

    @property
    def buffered(self) -> int:
        """Octets received and not yet used."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Take octets from the network, in any pieces."""
        if not self._ended:
            self._buffer += data

    def receive_end(self) -> None:
        """The client sends nothing more: what it has sent is answered, then the connection ends."""
        self._no_more = True

    def data_to_send(self) -> bytes:
        """What the engine itself has to say: continuations, BAD, BYE."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def ask_line(self) -> None:
        """Let the next line be an answer (AUTHENTICATE, IDLE) and no command."""
        self._line_asked = True

    def start_tls(self) -> None:
        """Forget everything sent in clear (RFC 3501 §6.2.1): it may be anyone's."""
        self._buffer.clear()
        self._searched = 0
        self._line_asked = False
        self._forget_command()

    def accept_message(self) -> None:
        """Let the offered message come."""
        assert self._offered is not None, "a message was offered"
        size, synchronizing = self._offered
        self._offered = None
        self._begin_literal(size, synchronizing=synchronizing, message=True)

    def refuse_message(self, response: bytes) -> None:
        """Refuse it with the tagged `response`; octets that come anyway are drained first.

        Messages of the same command that were received before it are the session's to forget.
        """
        assert self._offered is not None, "a message was offered"
        size, synchronizing = self._offered
        self._forget_command()
        if synchronizing:
            self._output.append(response)
        else:
            self._drain(size, response)

    def complain(self, tag: bytes, problem: str) -> None:
        """Answer BAD; too many in a row end the connection."""
        self._say_bad(responses.status(tag, b"BAD", problem))

    def end(self, reason: str) -> None:
        """Say BYE; nothing that was sent is looked at any more."""
        if not self._ended:
            self._output.append(responses.status(b"*", b"BYE", reason))
            self._stop()

    def next_event(self) -> Event | None:
        """What happened next; None: more octets (or an answer to an offer) are needed."""
        while not self._ended:
            if self._events:
                return self._events.popleft()
            if self._offered is not None:
                return None
            if self._literal is not None:
                if not self._fill(self._literal):
                    break
                continue
            line = self._take_line()
            if line is None:
                break
            event = self._on_line(line)
            if event is not None:
                return event
        if self._no_more:
            self.end("You have nothing more to say")
        return Ended() if self._ended else None

    # -- octets ---------------------------------------------------------------------------------

    def _take_line(self) -> bytes | None:
        limit = self._limits.line(logged_in=self._logged_in)
        limit -= self._line_octets
        end = self._buffer.find(b"\n", self._searched)
        if end > limit or (end < 0 and len(self._buffer) > limit):
            self.end("Command line too long")
            return None
        if end < 0:
            self._searched = len(self._buffer)
            return None
        # RFC 3501 asks for CRLF; a lone LF is taken, as every peer does, for people with netcat.
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        self._searched = 0
        self._line_octets += end + 1
        return line

    def _fill(self, literal: _Literal) -> bool:
        """Move octets into the literal; whether it is complete (and then it is done with)."""
        taken = min(literal.left, len(self._buffer))
        if literal.data is not None and taken:
            literal.data += self._buffer[:taken]
        del self._buffer[:taken]
        self._searched = 0
        literal.left -= taken
        if literal.left:
            return False
        if literal.data is not None:
            data = bytes(literal.data)
            if literal.message and self._append is not None:
                self._append.take(data)
            else:
                self._parts.append(data)
                self._literal_octets += len(data)
        self._literal = None
        return True

    @property
    def _logged_in(self) -> bool:
        return self.state is not State.NOT_AUTHENTICATED

    # -- lines and literals ---------------------------------------------------------------------

    def _on_line(self, line: bytes) -> Event | None:
        if self._line_asked:
            self._line_asked = False
            self._line_octets = 0
            return LineReceived(line)
        match = _LITERAL.search(line)
        if self._refusal is not None:
            self._on_refused_line(match)
            return None
        self._parts.append(line if match is None else line[: match.start()])
        if self._append is not None:
            return self._on_append(self._append, match)
        return self._on_command() if match is None else self._on_literal(match)

    def _on_refused_line(self, match: re.Match[bytes] | None) -> None:
        """The rest of a command that is refused already: only its end is of interest."""
        if match is not None and match[2]:
            self._drain(int(match[1]), self._refusal or b"")
            return
        response = self._refusal or b""
        self._forget_command()
        if b" BAD " in response[:140]:
            self._say_bad(response)
        else:
            self._output.append(response)

    def _on_command(self) -> Event | None:
        parts = self._parts
        tag = _tag_of(parts[0])
        event = self._on_short(tag, parts)
        if event is not None:
            return event
        try:
            _, tag, name = self._check_state(parts)
            if name in APPENDS:
                return self._on_append(Appending(tag, utf8=self.utf8), None)
            self._forget_command()
            tag, name, command = parse_command(parts, utf8=self.utf8)
        except BadCommandError as problem:
            self._forget_command()
            self.complain(tag, str(problem))
        else:
            self._bad_in_a_row = 0
            return CommandReceived(tag, name, command)
        return Ended() if self._ended else None

    def _on_short(self, tag: bytes, parts: list[bytes]) -> CommandReceived | None:
        """A command that is one short line with nothing wrong; None: look closely."""
        if len(parts) > 1 or tag == b"*":
            return None
        try:
            found = parse_short(parts[0][len(tag) + 1 :], utf8=self.utf8)
        except BadCommandError:
            return None
        if found is None or refusal(found[0], self.state) is not None:
            return None
        self._forget_command()
        self._bad_in_a_row = 0
        return CommandReceived(tag, *found)

    def _check_state(self, parts: list[bytes]) -> tuple[Scanner, bytes, bytes]:
        scan = Scanner(parts, utf8=self.utf8)
        tag = scan.tag()
        scan.space()
        name = parse_name(scan)
        reason = refusal(name, self.state)
        if reason is not None:
            raise BadCommandError(reason)
        return scan, tag, name

    def _on_literal(self, match: re.Match[bytes]) -> Event | None:
        tag = _tag_of(self._parts[0])
        try:
            _, tag, name = self._check_state(self._parts)
            if name not in APPENDS:
                self._begin_argument(match)
                return None
        except BadCommandError as problem:
            self._refuse(tag, str(problem), match)
            return None
        return self._on_append(Appending(tag, utf8=self.utf8), match)

    def _on_append(self, append: Appending, match: re.Match[bytes] | None) -> Event | None:
        """A chunk of an APPEND: text up to a literal, or to the end of the line."""
        self._append = append
        try:
            events = append.chunk(self._parts, None if match is None else int(match[1]))
            if match is not None and events is None:
                self._begin_argument(match)
            elif match is not None:
                self._check_size(match, message=True)
                self._offered = int(match[1]), not match[2]
                self._forget_parts()
        except BadCommandError as problem:
            self._refuse(append.tag, str(problem), match)
            return AppendBroken() if append.begun else None
        if match is None:
            self._forget_command()
            self._bad_in_a_row = 0
        self._events.extend(events or ())
        return None

    def _check_size(self, match: re.Match[bytes], *, message: bool = False) -> None:
        size, synchronizing = int(match[1]), not match[2]
        if not synchronizing and size > self._limits.non_synchronizing():
            raise BadCommandError("Non-synchronizing literal too large")
        if message:
            return  # the session decides, with APPENDLIMIT and quota
        limit = self._limits.literal(logged_in=self._logged_in)
        if size + self._literal_octets > limit:
            raise BadCommandError("Literal too large")

    def _begin_argument(self, match: re.Match[bytes]) -> None:
        self._check_size(match)
        self._begin_literal(int(match[1]), synchronizing=not match[2])

    def _begin_literal(self, size: int, *, synchronizing: bool, message: bool = False) -> None:
        if synchronizing:
            self._output.append(responses.continuation(b"OK"))
        self._literal = _Literal(size, bytearray(), message)

    def _refuse(self, tag: bytes, problem: str, match: re.Match[bytes] | None) -> None:
        bad = responses.status(tag, b"BAD", problem)
        if match is not None and match[2]:
            self._drain(int(match[1]), bad)
        else:
            self._forget_command()
            self._say_bad(bad)

    def _drain(self, size: int, response: bytes) -> None:
        """Read `size` octets and the rest of the command into nothing, then say `response`."""
        limits = self._limits
        most = limits.append_octets * 4 if self._logged_in else limits.drained_octets_before_login
        if size > most:
            self._output.append(response)
            self.end("Literal too large")
            return
        self._forget_command()
        self._refusal = response
        self._literal = _Literal(size, None)

    def _say_bad(self, response: bytes) -> None:
        self.bad_commands += 1
        self._bad_in_a_row += 1
        self._output.append(response)
        if self._bad_in_a_row >= self._limits.bad_commands:
            self.end("Too many bad commands")

    def _stop(self) -> None:
        self._ended = True
        self.state = State.LOGOUT
        self._buffer.clear()
        self._events.clear()
        self._forget_command()


def _tag_of(line: bytes) -> bytes:
    match = _TAG_ALONE.match(line)
    return match[1] if match else b"*"
