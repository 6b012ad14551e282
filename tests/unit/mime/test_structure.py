"""The offsets found by searching, beside those that a plain line-by-line reader finds."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from um.mime.scan import scan
from um.mime.structure import Part, parse_structure

Tree = tuple[int, int, list["Tree"]]
"""Where the body of a part begins and ends, and its children."""


class LineReader:
    """RFC 2046 §5.1 as one would write it down: every line is held against every open boundary."""

    def __init__(self, data: bytes) -> None:
        self.lines = re.findall(rb"[^\n]*\n|[^\n]+\Z", data)
        self.at = 0
        self.open: list[bytes] = []

    def boundary(self) -> tuple[int, bool] | None:
        """Which open boundary the present line is, innermost of the longest, and whether it closes."""
        if self.at >= len(self.lines):
            return None
        line = self.lines[self.at]
        found = [n for n, name in enumerate(self.open) if line.startswith(b"--" + name)]
        if not found:
            return None
        level = max(found, key=lambda n: (len(self.open[n]), n))
        return level, line[2 + len(self.open[level]) :].startswith(b"--")

    def part(self) -> Tree:
        """Read one part; stops at the boundary line that ends it."""
        name = b""
        while self.at < len(self.lines) and not self.boundary():
            line = self.lines[self.at]
            self.at += 1
            if line == b"\r\n":
                break
            if not name and (
                match := re.match(rb"Content-Type: multipart/mixed; boundary=(\w+)", line)
            ):
                name = match[1]
        begin = self.offset()
        children = self.children(name) if name else []
        while self.at < len(self.lines) and not self.boundary():
            self.at += 1
        end = self.offset()
        if self.at < len(self.lines):  # the line end before a boundary is the boundary's
            end = max(begin, end - 2)
        return begin, max([end, *(child[1] for child in children)]), children

    def offset(self) -> int:
        return sum(map(len, self.lines[: self.at]))

    def children(self, name: bytes) -> list[Tree]:
        level = len(self.open)
        self.open.append(name)
        found: list[Tree] = []
        while self.at < len(self.lines):
            boundary = self.boundary()
            if boundary is None:
                self.at += 1
            elif boundary[0] < level:
                break
            else:
                last = self.at + 1 == len(self.lines) and not self.lines[self.at].endswith(b"\n")
                self.at += 1
                if boundary[1] or last:
                    break
                found.append(self.part())
        del self.open[level:]
        return found


def tree(part: Part) -> Tree:
    return part.body, part.end, [tree(child) for child in part.children]


LINES = st.sampled_from(
    [
        *(b"--a", b"--a", b"--ab", b"--abc", b"--a--", b"--ab--", b"--abc--", b"", b"", b"text"),
        *(
            b"Content-Type: multipart/mixed; boundary=" + name
            for name in (b"a", b"ab", b"abc", b"a")
        ),
    ]
)


@settings(max_examples=500)
@given(st.sampled_from([b"a", b"ab", b"abc"]), st.lists(LINES, max_size=40), st.booleans())
def test_the_same_parts_line_by_line(first: bytes, lines: list[bytes], ended: bool) -> None:
    """Nested, repeated, prefixed, unclosed and misplaced boundaries: the same tree, octet for octet."""
    head = b"Content-Type: multipart/mixed; boundary=" + first + b"\r\n\r\n"
    data = head + b"\r\n".join(lines) + (b"\r\n" if ended else b"")
    assert tree(parse_structure(data)) == LineReader(data).part()


def multipart(name: bytes, parts: list[bytes], *, closed: bool) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=" + name + b"\r\n\r\n"
    body = b"".join(b"--" + name + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + (b"--" + name + b"--\r\n" if closed else b"")


NESTED = st.recursive(
    st.sampled_from([b"\r\ntext", b"\r\n", b"", b"X: y\r\n\r\n"]),
    lambda inner: st.builds(
        multipart,
        st.sampled_from([b"a", b"ab", b"b"]),
        st.lists(inner, max_size=3),
        closed=st.booleans(),
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(NESTED)
def test_the_same_nesting_line_by_line(data: bytes) -> None:
    """Multiparts within multiparts whose boundaries are named alike: the same tree."""
    assert tree(parse_structure(data)) == LineReader(data).part()


def test_one_boundary_on_three_levels() -> None:
    """Found beside Dovecot: a line that the innermost takes does not end those between."""
    inner = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n1\r\n--x--\r\n"
    middle = (
        b"Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n"
        + inner
        + b"\r\n--ab\r\n\r\n2\r\n--ab--\r\n"
    )
    data = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + middle + b"\r\n--x--\r\n"
    assert scan(data).body.count(b'"text"') == 2
