"""The conformance matrix names modules and tests that there are, and every capability on offer."""

import re
from pathlib import Path

import pytest

from imap_server.capabilities import AFTER_LOGIN, ALWAYS

ROOT = Path(__file__).parents[3]
MATRIX = (ROOT / "docs/protocols/imap.md").read_text()
HEADS = ("| section |", "| capability |", "| limit |")


def rows() -> list[list[str]]:
    """The cells of every row of the matrix: section or capability, ..., module, test, deviation."""
    found: list[list[str]] = []
    inside = False
    for line in MATRIX.splitlines():
        inside = line.startswith("|") and (inside or line.startswith(HEADS))
        if inside and not line.startswith((*HEADS, "|--")):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def module_file(name: str) -> Path:
    """`commands/fetch` is a module of `imap_server`, `um.service.x` is one by its full name."""
    path = name.replace(".", "/") if name.startswith("um.") else f"imap_server/{name}"
    return ROOT / f"{path}.py"


def test_file(name: str) -> list[Path]:
    """Where a test of that name may be: a transcript, a unit test, an end-to-end test."""
    return [
        ROOT / f"tests/transcripts/{name}.imap",
        ROOT / f"tests/unit/imap/test_{name}.py",
        ROOT / f"tests/end_to_end/test_imap_{name}.py",
    ]


test_file.__test__ = False


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_a_row_names_what_there_is(row):
    """Modules stand in code spans, tests are bare words; both exist, and no row is without a test."""
    *_, modules, tests, _deviation = row
    for name in re.findall(r"`([^`]+)`", modules):
        assert module_file(name).is_file(), name
    named = re.findall(r"[a-z_0-9]+", re.sub(r"\(.*?\)", "", tests))
    assert named
    for name in named:
        assert any(path.is_file() for path in test_file(name)), name


def test_every_capability_has_a_row():
    """What CAPABILITY tells is explained."""
    told = {cell.strip() for row in rows() for cell in row[0].split(",")}
    for name in (*ALWAYS, *AFTER_LOGIN):
        assert name in told or name == "IMAP4rev1", name
