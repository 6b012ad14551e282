"""The end of DATA, byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.smtp.dot import DotReader, has_bare_newline, longest_line_exceeds

LINES = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"text", b"a.b", b"\0\xff"]), max_size=8)


@given(LINES, st.lists(st.integers(0, 60)), st.sampled_from([b"", b"QUIT\r\n", b"\r\n.\r\n"]))
def test_any_split_gives_the_same_message(
    lines: list[bytes], cuts: list[int], after: bytes
) -> None:
    """Stuffed and cut anywhere, the message comes back, and so does what follows it."""
    message = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line[:1] == b"." else b"") + line + b"\r\n" for line in lines)
    wire = stuffed + b".\r\n" + after
    reader, rest, position = DotReader(1000), None, 0
    for cut in [*sorted(cuts), len(wire)]:
        if rest is not None:
            rest += wire[position:cut]
        elif cut > position:
            rest = reader.feed(wire[position:cut])
        position = max(position, cut)
    assert reader.kept_octets == len(stuffed)
    assert reader.take_message() == message
    assert rest == after


@pytest.mark.parametrize("size", [1, 3, 100])
def test_overflow_keeps_nothing_and_finds_the_end(size: int) -> None:
    """Past the limit the data is thrown away; the end is still found."""
    reader = DotReader(10)
    wire = b"x" * 50 + b"\r\n.\r\nNOOP"
    rest = None
    for start in range(0, len(wire), size):
        chunk = wire[start : start + size]
        rest = reader.feed(chunk) if rest is None else rest + chunk
    assert (rest, reader.overflowed, reader.take_message(), reader.kept_octets) == (
        b"NOOP",
        True,
        b"",
        0,
    )


@pytest.mark.parametrize(
    ("data", "bare"),
    [(b"", False), (b"a\r\n\r\n", False), (b"\n", True), (b"\r", True), (b"\r\r\n", True)],
)
def test_bare_newlines(data: bytes, bare: bool) -> None:
    """CR and LF count only together."""
    assert has_bare_newline(data) is bare


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(1, 25))
def test_the_longest_line(lengths: list[int], limit: int) -> None:
    """The quick look finds a line beyond the limit exactly when there is one."""
    lines = [b"x" * length + b"\r\n" for length in lengths]
    data = b"".join(lines)
    longest = max((len(line) for line in lines), default=0)
    assert longest_line_exceeds(data, limit) is (longest > limit)
