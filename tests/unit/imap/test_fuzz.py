"""Any octets, in any pieces: events, or one BAD, or one BYE; memory bounded; nothing ever breaks.

`python -m bench.imap_fuzz` looks for exceptions to the same laws, guided by coverage.
"""

import asyncio
import itertools
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from imap_server.state import State
from tests.support.house import PASSWORD
from tests.support.imap_noise import FRAGMENTS, drive
from tests.support.imap_transcript import Stage

NOISE = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=20), max_size=40).map(b"".join)
STATES = st.sampled_from([State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED])


@settings(max_examples=300)
@given(NOISE, st.lists(st.integers(0, 2000), max_size=10), STATES)
@example(b"a LOGIN " + b"{0+}\r\n" * 500, [], State.NOT_AUTHENTICATED)
@example(b"c LOGIN {0+}\r\n" * 99, [7], State.SELECTED)
def test_noise_gives_the_same_events_in_any_pieces(noise, cuts, state):
    """Packets mean nothing, and no octets do harm."""
    ends = [0, *sorted(min(cut, len(noise)) for cut in cuts), len(noise)]
    pieces = [noise[start:end] for start, end in itertools.pairwise(ends)]
    assert drive(pieces, state) == drive([noise], state)


def test_octet_by_octet():
    """The smallest pieces there are, over every fragment."""
    noise = b"\r\n".join(FRAGMENTS)
    for state in (State.NOT_AUTHENTICATED, State.SELECTED):
        assert drive([bytes((octet,)) for octet in noise], state) == drive([noise], state)


@settings(max_examples=60, deadline=None)
@given(NOISE)
def test_a_session_outlives_noise(noise):
    """A whole session with a mailbox: no SERVERBUG, and at the end it answers or has said BYE."""

    async def story() -> None:
        stage = Stage()
        await stage.house.add("alice", None)
        await stage.deposit("voice", "alice")
        client = await stage.connect("A")
        client.send(f'a LOGIN alice "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
        await stage.settle()
        client.take_all()
        client.send(noise)
        await stage.settle()
        # Whatever was begun ends: a literal is filled, a line is ended, IDLE is done.
        for piece in (b"x" * 3000, b"\r\n", b"DONE\r\n", b"\r\n", b"zz NOOP\r\n"):
            client.send(piece)
            await stage.settle()
        said = client.take_all()
        assert b"SERVERBUG" not in said
        waits = client.session.context.connection._literal is not None
        assert b"zz OK " in said or b"* BYE " in said or waits
        assert all(re.match(rb"[+*]|[^ ]+ (OK|NO|BAD)", line) for line in lines(said))
        await stage.close()

    asyncio.run(story())


def lines(said: bytes) -> list[bytes]:
    """The first lines of responses, literals taken out."""
    while match := re.search(rb"\{(\d+)\}\r\n", said):
        said = said[: match.start()] + b"~" + said[match.end() + int(match[1]) :]
    return said.split(b"\r\n")[:-1]
