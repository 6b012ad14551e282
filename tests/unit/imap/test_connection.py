"""The engine of one connection: any split, any octets, every state."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap_server.connection import (
    AppendBroken,
    AppendEnded,
    CommandReceived,
    Connection,
    Ended,
    LineReceived,
    MessageOffered,
    MessageReceived,
)
from imap_server.state import ALLOWED, State, refusal
from imap_server.wire import commands as c
from imap_server.wire.commands import Idle, StartTls
from imap_server.wire.limits import Limits
from imap_server.wire.parser import APPENDS

LIMITS = Limits()


def drive(pieces, *, state=State.SELECTED, limits=LIMITS, connection=None):
    """Feed the pieces as a session would; returns all events and all output."""
    if connection is None:
        connection = Connection(limits)
        connection.state = state
    events, output = [], b""
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            events.append(event)
            match event:
                case Ended():
                    return events, output + connection.data_to_send()
                case MessageOffered() if event.size_octets > 1000:
                    connection.refuse_message(event.tag + b" NO refused\r\n")
                case MessageOffered():
                    connection.accept_message()
                case CommandReceived(command=Idle()):
                    connection.ask_line()
                case CommandReceived(command=StartTls()):
                    connection.start_tls()
        output += connection.data_to_send()
    assert connection.buffered <= limits.line_octets
    return events, output


SCRIPT = (
    b"a NOOP\r\nb IDLE\r\nDONE\r\nc APPEND INBOX {5+}\r\nhello\r\nd SEARCH SUBJECT {3}\r\nfoo\r\n"
    b"e APPEND {5+}\r\nINBOX (\\Seen) {4}\r\nabcd\r\nf APPEND INBOX {2000+}\r\n"
    + b"x"
    * 2000
    + b"\r\n"
    b"g LOGIN {3+}\r\nabc {4+}\r\nabcd\r\nh APPEND INBOX {3+}\r\nabc junk {2+}\r\nzz\r\n"
    b"m APPEND {5+}\r\nINBOX {1}\r\n1 (\\Seen) {2+}\r\n22 {3}\r\n333\r\n"
    b"o APPEND INBOX CATENATE (URL {2+}\r\n/a TEXT {1}\r\n4 TEXT ~{1+}\r\n5) (\\Seen) {1+}\r\n6\r\n"
    b"n APPEND INBOX {1+}\r\n1 {2000+}\r\n" + b"x" * 2000 + b" {1+}\r\n3\r\n"
    b"i SEARCH SUBJECT {70000+}\r\n" + b"j NOOP\r\n" * 8750 + b"\r\nk BLA\r\nl NOOP\r\n"
)


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=12))
def test_any_split_of_the_octets_gives_the_same_events(cuts):
    """Packets mean nothing: TCP is a stream."""
    ends = [0, *sorted(cuts), len(SCRIPT)]
    pieces = [SCRIPT[start:end] for start, end in itertools.pairwise(ends)]
    assert drive(pieces) == drive([SCRIPT])


@given(st.integers(0, len(SCRIPT)))
def test_the_end_of_the_octets_ends_the_connection_behind_them(length):
    """A client that closes its side is answered all that it said, and then told goodbye, once."""
    said, output = drive([SCRIPT[:length]])
    connection = Connection(LIMITS)
    connection.state = State.SELECTED
    connection.receive_end()  # as early as can be: what came before is there at once
    events, whole = drive([SCRIPT[:length]], connection=connection)
    assert events == [*said, Ended()]
    assert whole.startswith(output)
    assert whole[len(output) :] == b"* BYE You have nothing more to say\r\n"
    assert connection.next_event() == Ended()
    assert connection.data_to_send() == b""


def test_octet_by_octet():
    script = SCRIPT[:400]
    assert drive([bytes((octet,)) for octet in script]) == drive([script])


def test_what_the_script_means():
    events, output = drive([SCRIPT])
    commands = [event.tag for event in events if isinstance(event, CommandReceived)]
    assert commands == [b"a", b"b", b"d", b"l"]
    received = [event for event in events if isinstance(event, MessageReceived)]
    assert [
        b"".join(piece for piece in event.pieces if isinstance(piece, bytes)) for event in received
    ] == [
        *(b"hello", b"abcd", b"1", b"22", b"333", b"45", b"6"),
        b"1",  # of n, which is refused with its second message
    ]
    assert [event.heading.flags for event in received[3:5]] == [("\\Seen",), ()]
    ends = [event for event in events if isinstance(event, AppendEnded | AppendBroken)]
    assert ends == [
        AppendEnded(b"c", c.Append("INBOX")),
        AppendEnded(b"e", c.Append("INBOX")),
        AppendBroken(),
        AppendEnded(b"m", c.Append("INBOX")),
        AppendEnded(b"o", c.Append("INBOX")),
    ]
    assert [event.line for event in events if isinstance(event, LineReceived)] == [b"DONE"]
    assert output == (
        b"+ OK\r\n+ OK\r\nf NO refused\r\ng BAD Already logged in\r\n"
        b"h BAD The message must be a literal\r\n+ OK\r\n+ OK\r\n+ OK\r\nn NO refused\r\ni BAD Literal too large\r\n"
        b"k BAD Unknown command\r\n"
    )


FRAGMENTS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"a NOOP\r\n",
        b"a IDLE\r\n",
        b"DONE\r\n",
        b"a LOGIN x {3}\r\n",
        b"a APPEND INBOX {9+}\r\n",
        b" (\\Seen) {2+}\r\n",
        b"a UID REPLACE * INBOX CATENATE (URL ",
        b" TEXT ~{1+}\r\n",
        b"x) UTF8 (~{3+}\r\n",
        b"a FETCH 1:* (BODY[",
        b"{4+}\r\n",
        b"{99999999999999999999}\r\n",
        b"{-1}\r\n",
        b"a STARTTLS\r\n",
        b"\x00",
        b"(" * 30,
        b'"',
    ]
)


@given(
    st.lists(FRAGMENTS | st.binary(max_size=20), max_size=40),
    st.sampled_from([State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED]),
)
def test_any_octets_give_events_or_the_end(pieces, state):
    """No exception leaves the engine, and what it holds stays bounded."""
    drive(pieces, state=state)


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=20))
def test_a_line_without_end_is_not_kept(pieces):
    """Before login no more than a line's worth of octets is ever held."""
    small = replace(LIMITS, line_octets_before_login=512)
    connection = Connection(small)
    for piece in pieces:
        connection.receive_data(piece.replace(b"\n", b"x"))
        event = connection.next_event()
        assert connection.buffered <= 512
        if isinstance(event, Ended):
            assert b"* BYE" in connection.data_to_send()
            return


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_every_command_is_defined_in_every_state(state, name):
    """The table answers for each pair, and a refused command is BAD before its literal is read."""
    reason = refusal(name, state)
    assert (reason is None) is (state in ALLOWED[name])
    if state is State.LOGOUT:
        assert reason == "Logging out"
        return
    connection = Connection(LIMITS)
    connection.state = state
    connection.receive_data(b"t " + name + b" {5}\r\n")
    connection.next_event()
    answer = connection.data_to_send()
    if reason is not None:
        assert answer == b"t BAD " + reason.encode() + b"\r\n"
    elif name not in APPENDS:
        assert answer == b"+ OK\r\n"


def test_a_message_that_goes_on_after_the_refusal_is_never_a_command():
    events, output = drive([b"a APPEND INBOX {2000}\r\n", b"b NOOP\r\n"])
    assert [type(event) for event in events] == [MessageOffered, CommandReceived]
    assert output == b"a NO refused\r\n"


def test_a_literal_too_large_to_drain_ends_the_connection():
    events, output = drive([b"a LOGIN {4097+}\r\nb NOOP\r\n"], state=State.NOT_AUTHENTICATED)
    assert events == [Ended()]
    assert output.endswith(b"* BYE Literal too large\r\n")


def test_passwords_are_in_no_representation():
    """A command may end up in a log line; its secrets may not."""
    assert "secret" not in repr(c.Login(b"alice", b"secret"))
    assert "secret" not in repr(LineReceived(b"secret"))
