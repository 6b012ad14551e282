"""COMPRESS=DEFLATE: what is said arrives, nothing unfolds without bound, garbage ends it."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap_server.deflate import PIECE_OCTETS, BrokenStreamError, Deflate
from imap_server.settings import ImapSettings
from tests.support.imap_transcript import play

ON = replace(ImapSettings(), compress=True)


def folded(data: bytes) -> bytes:
    client = zlib.compressobj(9, zlib.DEFLATED, -15)
    return client.compress(data) + client.flush(zlib.Z_SYNC_FLUSH)


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 50))
def test_any_split_unfolds_to_the_same(pieces, size):
    """Octet by octet or at once: the commands are those that were folded."""
    stream, got = Deflate(), b""
    data = folded(b"".join(pieces))
    for start in range(0, len(data), size):
        stream.receive(data[start : start + size])
        while piece := stream.unfold():
            got += piece
    assert got == b"".join(pieces)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_each_write_can_be_read_at_once(pieces):
    stream, client = Deflate(), zlib.decompressobj(-15)
    for piece in pieces:
        assert client.decompress(stream.fold(piece)) == piece


def test_a_million_octets_come_in_pieces():
    """Never more than a piece is unfolded at once, however small it came."""
    stream = Deflate()
    stream.receive(folded(b"\0" * 1_000_000))
    sizes = []
    while piece := stream.unfold():
        sizes.append(len(piece))
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= PIECE_OCTETS


@given(st.binary(max_size=300))
def test_garbage_is_an_error_or_waits(data):
    stream = Deflate()
    stream.receive(data)
    try:
        while stream.unfold():
            pass
    except BrokenStreamError:
        pass


def test_an_end_of_the_stream_is_an_error():
    stream = Deflate()
    stream.receive(zlib.compress(b"a NOOP\r\n", wbits=-15) + b"x")
    with pytest.raises(BrokenStreamError):
        stream.unfold()


def test_it_is_offered_if_the_operator_wants_it():
    """[imap] compress is off by default; the answer is the last thing said unfolded."""
    play(
        """
        !! login A as alice
        A> a1 COMPRESS DEFLATE
        A< a1 BAD Compression is not offered
        """
    )
    play(
        """
        !! login A as alice
        A> a1 CAPABILITY
        A< * CAPABILITY ... COMPRESS=DEFLATE
        A< a1 OK CAPABILITY completed
        A> a2 COMPRESS LZMA
        A< a2 BAD Unknown compression
        A>> a3 COMPRESS DEFLATE\\r\\na4 NOOP\\r\\n
        A< a3 BAD Nothing may follow COMPRESS before it is answered
        A< a4 OK NOOP completed
        A> a5 COMPRESS DEFLATE
        A< a5 OK DEFLATE active
        A> a6 COMPRESS DEFLATE
        A< a6 BAD DEFLATE is active
        """,
        settings=ON,
    )
