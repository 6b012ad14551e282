"""Reading faxes by the real tesseract: what is found, and what happens when it is not."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fax.ocr import MAX_PAGE_TEXT_OCTETS, FaxReader, bounded, language_of, page_texts
from fax.pdf import PdfMaker
from fax.sandbox import MIB, Limits, Sandbox
from fax.tsv import words_of
from fax.words import Word
from tests.support.tiffs import (
    FINE,
    READABLE,
    STANDARD,
    readable_page,
    tiff,
    truncated_strip,
)


def read(*documents, tongue="", close=False, **settings):
    """What one reader finds."""

    async def go():
        maker = PdfMaker(workers=1)
        reader = FaxReader(maker, language=tongue, **settings)
        if close:
            reader.close()
        try:
            return await reader.read(list(documents), "en")
        finally:
            await maker.close()

    return asyncio.run(go())


@pytest.mark.parametrize(("dpi", "rows"), [(STANDARD, 1146), (FINE, 2292)])
def test_the_words_of_a_page_are_read(dpi, rows):
    """Flat letters of standard resolution, too; each line a line, each box where its word is."""
    words = read(tiff([readable_page(rows=rows)], dpi=dpi))
    assert page_texts(words) == {1: "\n".join(READABLE)}
    first = words[1][0]
    assert first.text == "Invoice"
    assert first.left == pytest.approx(150 / 1728, abs=0.01)
    assert first.top == pytest.approx(210 / 2292, abs=0.01)


def test_a_page_that_cannot_be_read_costs_only_itself():
    """Truncated: no words; the page after it keeps its number."""
    damaged = truncated_strip(tiff([readable_page(), readable_page()]))
    assert sorted(read(damaged)) == [2]


def test_time_that_is_up_costs_the_text_and_nothing_else():
    """Of a page, of the whole, of a server that closes; nothing is left running."""
    page = tiff([readable_page()])
    assert read(page, page_seconds=0.01) == {}
    assert read(page, total_seconds=0.01) == {}
    assert read(page, close=True) == {}
    assert wait_until(lambda: "tesseract" not in own_children())


def test_trouble_with_the_machine_costs_the_text_alone(monkeypatch):
    """No memory file, no descriptor: the fax has no text, and nothing is raised."""

    def full(*_args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("fax.ocr.os.memfd_create", full)
    assert read(tiff([readable_page()])) == {}


def test_without_tesseract_there_is_no_text(monkeypatch, tmp_path):
    """The server says so in its log and delivers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read(tiff([readable_page()])) == {}


def test_a_language_that_is_not_installed_is_read_as_english():
    """Better than nothing; `um check-config` names the package."""
    assert page_texts(read(tiff([readable_page()]), tongue="kat+eng"))[1].startswith("Invoice")


def test_languages_by_tesseracts_names():
    """ISO 639-1 in, whatever its region."""
    assert [language_of(name) for name in ("en", "fr-CA", "DE", "xx", "")] == [
        "eng",
        "fra",
        "deu",
        "eng",
        "eng",
    ]


@given(st.text(max_size=300))
def test_any_table_gives_words_or_none(table):
    """Of a program that read a stranger's page."""
    head = "1\t1\t0\t0\t0\t0\t0\t0\t100\t100\t-1\t\n"
    for each in words_of(head + table) + words_of(table):
        assert each.text.isprintable()


def test_words_are_cleaned_and_bounded():
    """Marks that reorder text, boxes outside the page and doubtful specks are left out."""
    row = "5\t1\t1\t1\t{line}\t1\t{left}\t10\t20\t10\t{sure}\t{text}"
    table = "\n".join(
        [
            "1\t1\t0\t0\t0\t0\t0\t0\t100\t200\t-1\t",
            row.format(line=1, left=10, sure=90, text="ok\u202e\0"),
            row.format(line=1, left=30, sure=90, text="same"),
            row.format(line=2, left=10, sure=3, text="speck"),
            row.format(line=2, left=900, sure=90, text="outside"),
            row.format(line=3, left="x", sure="nan", text="nan"),
        ]
    )
    assert [(word.text, word.line) for word in words_of(table)] == [("ok", 0), ("same", 0)]
    assert words_of(table)[0] == Word("ok", 0.1, 0.05, 0.2, 0.05, 0)
    assert len(bounded([Word("x" * 79, 0, 0, 1, 1)] * 1000)) == MAX_PAGE_TEXT_OCTETS // 80


def test_the_sandbox_is_polite_small_and_blind(tmp_path):
    """Nice 19, no network, nothing of the server's files, only its folder to write in."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("x")
    script = (
        f"nice > {inside}/nice; ulimit -v > {inside}/memory; "
        f"ls /sys/class/net > {inside}/net 2>&1; cat {tmp_path}/secret > {inside}/secret; true"
    )
    limits = Limits(wall_seconds=20, cpu_seconds=5, nice=19)
    sandbox = Sandbox()
    assert asyncio.run(sandbox.run(("sh", "-c", script), limits, folder=inside))
    assert int((inside / "nice").read_text()) == 19
    assert int((inside / "memory").read_text()) == 1024 * MIB // 1024
    if asyncio.run(sandbox.around()):
        assert "eth" not in (inside / "net").read_text()
        assert (inside / "secret").read_text() == ""


def test_what_takes_too_long_is_killed_with_all_it_started(tmp_path):
    """The whole tree, not only its first process."""
    limits = Limits(wall_seconds=0.5, cpu_seconds=5)
    command = ("sh", "-c", "sleep 4711 & sleep 4712")
    assert not asyncio.run(Sandbox().run(command, limits, folder=tmp_path))
    assert wait_until(lambda: "sleep\x00471" not in everyone())


def everyone():
    """The command lines of all processes."""
    return "\n".join(text for _, text in _processes())


def own_children():
    """The command lines of this test's own descendants."""
    return "\n".join(text for parent, text in _processes() if parent == os.getpid())


def _processes():
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            yield parent, (status.parent / "cmdline").read_text(errors="replace")
        except (OSError, ValueError):
            continue


def wait_until(condition):
    """Whether it comes true within ten seconds: the kernel ends a process in its own time."""
    pause = threading.Event()
    return any(condition() or pause.wait(0.05) for _ in range(200))
