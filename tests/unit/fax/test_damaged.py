"""The damaged set, by a worker under its limits: the right outcome for each, in time and memory."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from fax.pdf import PdfMaker
from fax.pdf_worker import ADDRESS_SPACE_OCTETS, CPU_SECONDS
from tests.support.fax_pixels import pages_of_pdf
from tests.support.tiffs import (
    FINE,
    damaged_set,
    dense_page,
    mutants,
    salvageable_set,
    tiff,
)
from um.core.errors import RefusedDocumentError

MIB = 1024 * 1024


def status_of(worker, field):
    """A figure of the worker's process in KiB (proc(5): VmHWM is the peak of its resident memory)."""
    for line in Path(f"/proc/{worker._process.pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def outcomes(documents):
    """What one worker makes of each: a document or None, notes or reason; and its peak in octets.

    One that takes 20 s would have the worker killed: that it is the same to the end is checked here.
    """

    async def go():
        maker = PdfMaker(workers=1)
        await maker.start()
        (worker,) = maker._idle
        found = {}
        for name, document in documents:
            try:
                made = await maker.convert(document)
                found[name] = (made, made.notes)
            except RefusedDocumentError as error:
                found[name] = (None, (error.public,))
        assert maker._idle == [worker]  # it stood them all
        assert worker.alive
        peak = status_of(worker, "VmHWM") * 1024
        await maker.close()
        return found, peak

    return asyncio.run(go())


def test_the_damaged_set_has_the_right_outcomes():
    """Refused with a reason, or delivered without the pages that do not decode; 20 s, 700 MB."""
    hopeless, hopeful = damaged_set(), salvageable_set()
    documents = {**hopeless, **{name: each[0] for name, each in hopeful.items()}}
    found, peak = outcomes(documents.items())
    for name in hopeless:
        made, reasons = found[name]
        assert made is None, name
        assert all(reasons), name
    for name, (_, pages, dropped) in hopeful.items():
        made, notes = found[name]
        assert (made.pages, made.dropped) == (pages, dropped), name
        assert len(notes) >= dropped, name
        assert len(pages_of_pdf(made.pdf)) == pages, name
    assert peak < ADDRESS_SPACE_OCTETS


def test_fifty_mutants_give_whole_pages_or_a_reason():
    """Bits turned over anywhere: no worker dies, and every page of every PDF is read by poppler.

    `python -m bench.fax_fuzz` does the same with a thousand.
    """
    found, peak = outcomes(mutants(50, seed=20261126))
    delivered = [made for made, _ in found.values() if made]
    assert len(found) == 50
    assert 5 <= len(delivered) <= 45  # both outcomes are really tried
    assert all(all(reasons) for made, reasons in found.values() if made is None)
    for made in delivered:
        assert len(pages_of_pdf(made.pdf)) == made.pages
        assert len(made.notes) >= made.dropped
    assert peak < ADDRESS_SPACE_OCTETS


def test_the_largest_faxes_fit_the_limits():
    """Two hundred dense fine pages and a page of the greatest size: far from 700 MB."""
    dense = dense_page("x")
    huge = tiff([dense.resize((1728, 30_000))], dpi=FINE)
    found, peak = outcomes([("many", [tiff([dense], dpi=FINE)] * 200), ("huge", huge)])
    assert [found[name][0].pages for name in ("many", "huge")] == [200, 1]
    assert peak < 350 * MIB


def test_the_limits_are_in_force():
    """The kernel knows them, and the processor's limit moves on with every job."""

    async def go():
        maker = PdfMaker(workers=1)
        await maker.start()
        (worker,) = maker._idle
        await maker.convert(tiff([dense_page("x", rows=300)]))
        limits = Path(f"/proc/{worker._process.pid}/limits").read_text()
        await maker.close()
        return limits

    shown = asyncio.run(go())
    rows = {line[:25].strip(): line[25:].split() for line in shown.splitlines()[1:]}
    assert rows["Max address space"][0] == str(700 * MIB)
    assert rows["Max file size"][0] == str(100 * MIB)
    assert rows["Max core file size"][0] == "0"
    assert CPU_SECONDS < int(rows["Max cpu time"][0]) <= CPU_SECONDS + 5


@pytest.mark.parametrize(
    ("greed", "signals"),
    [
        ("bytearray(701 * 1024 * 1024)", ()),
        ("open('big', 'wb').truncate(101 * 1024 * 1024)", ()),
        ("exec('while True: pass')", (-24, -9)),
    ],
    ids=["memory", "file", "processor"],
)
def test_what_goes_beyond_a_limit_is_stopped(tmp_path, greed, signals):
    """Memory and file: an error inside; processor: SIGXCPU from the kernel."""
    program = (
        "import fax.pdf_worker as w\nw.CPU_SECONDS = 1\nw.limit_memory_and_files()\n"
        f"w.allow_one_job()\ntry:\n    {greed}\nexcept (MemoryError, OSError):\n    print('stopped')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if signals:
        assert done.returncode in signals
    else:
        assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr
