"""What every input of the IMAP engine must keep to, whoever made it up: hypothesis or a fuzzer."""

from collections.abc import Iterable

from imap_server.connection import (
    CommandReceived,
    Connection,
    Ended,
    Event,
    LineReceived,
    MessageOffered,
)
from imap_server.state import State
from imap_server.wire.commands import Idle, StartTls
from imap_server.wire.limits import Limits

LIMITS = Limits(
    line_octets_before_login=300,
    line_octets=2_000,
    literal_octets_before_login=50,
    literal_octets=1_000,
    drained_octets_before_login=400,
    append_octets=3_000,
)
"""Small, so that what is made up comes near them."""
FRAGMENTS = (
    b"\r\n",
    b"\n",
    b"a NOOP\r\n",
    b"b IDLE\r\n",
    b"DONE\r\n",
    b"c LOGIN ",
    b"{0+}\r\n",
    b"{3}\r\n",
    b"abc",
    b"{60+}\r\n",
    b"{1001+}\r\n",
    b"{99999999999999999999}\r\n",
    b"{-1}\r\n",
    b"d APPEND INBOX {9+}\r\nSubject: \r\n",
    b"e APPEND INBOX (\\Seen) {3000+}\r\n",
    b"f STARTTLS\r\n",
    b"g AUTHENTICATE PLAIN\r\n",
    b"h FETCH 1:* (BODY[1.HEADER.FIELDS (",
    b"i UID SEARCH RETURN (ALL) OR NOT SUBJECT ",
    b"j STORE 1 (UNCHANGEDSINCE 5) +FLAGS (\\Deleted k)\r\n",
    b"k UID THREAD REFERENCES UTF-8 ALL\r\n",
    b'l LIST (SUBSCRIBED) "" (% "*") RETURN (STATUS (MESSAGES))\r\n',
    b"x" * 290,
    b"\x00",
    b"\xff\xfe",
    b"(" * 25,
    b'"',
)


def drive(pieces: Iterable[bytes], state: State) -> tuple[list[Event], bytes]:
    """Feed the pieces as a session would; all events and all output. Raises if a law is broken."""
    connection = Connection(LIMITS)
    connection.state = state
    events: list[Event] = []
    output = b""
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            events.append(event)
            output += connection.data_to_send()
            match event:
                case Ended():
                    assert b"* BYE " in output, "no connection ends without a word"
                    return events, output
                case MessageOffered() if event.size_octets > 1_000:
                    connection.refuse_message(event.tag + b" NO refused\r\n")
                case MessageOffered():
                    connection.accept_message()
                case CommandReceived(command=Idle()):
                    connection.ask_line()
                case CommandReceived(command=StartTls()):
                    connection.start_tls()
                    assert connection.buffered == 0
                    return events, output  # what is dropped hangs on the pieces, and shall
                case LineReceived():
                    pass
        output += connection.data_to_send()
        check_memory(connection)
    return events, output


def check_memory(connection: Connection) -> None:
    """What is held of a command is no more than its limits say, however it came."""
    logged_in = connection.state is not State.NOT_AUTHENTICATED
    line, literals = LIMITS.line(logged_in=logged_in), LIMITS.literal(logged_in=logged_in)
    literal = connection._literal
    message = 1_000 if logged_in else 0
    held = sum(map(len, connection._parts))
    held += len(literal.data) if literal is not None and literal.data is not None else 0
    assert held <= line + literals + message
    assert len(connection._parts) <= line
    assert connection.buffered <= line or connection._offered is not None
