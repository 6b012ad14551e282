"""Fax pages to PDF a second: ours (every page decoded first), tiff2pdf and Ghostscript in turn."""

import argparse
import asyncio
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bench.report import report
from fax.pdf import PdfMaker
from tests.support.tiffs import A4_FINE_ROWS, FINE, dense_page, tiff

REPEATS = 15


Took = tuple[float, float]
"""Seconds by the clock, and of processor: the best of each."""


def processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor_of(pid: int) -> float:
    """Of a running process (proc(5): fields 14 and 15, in ticks)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object]) -> Took:
    """The best of some."""
    runs = []
    for _ in range(REPEATS):
        start, used = time.perf_counter(), processor_of_children()
        work()
        runs.append((time.perf_counter() - start, processor_of_children() - used))
    return min(run[0] for run in runs), min(run[1] for run in runs)


async def ours(document: bytes) -> tuple[Took, int]:
    """What it takes in a warm worker (server and worker together), and the octets of the PDF."""
    maker = PdfMaker()
    await maker.start()
    (worker,) = maker._idle
    runs, size = [], 0
    for _ in range(REPEATS):
        start, used = time.perf_counter(), time.process_time() + processor_of(worker._process.pid)
        made = await maker.convert(document, header="2026-11-26 01:02 EST   From +1 555 123 4567")
        seconds = time.perf_counter() - start
        processor = time.process_time() + processor_of(worker._process.pid) - used
        runs.append((seconds, processor))
        size = len(made.pdf)
    await maker.close()
    return (min(run[0] for run in runs), min(run[1] for run in runs)), size


def office_page(text: str) -> Image.Image:
    """A4 full of text as offices write it: 55 lines, about 80 kB in G4."""
    page = Image.new("1", (1728, A4_FINE_ROWS), 1)
    draw = ImageDraw.Draw(page)
    typeface = ImageFont.load_default(30)
    line = f"{text} the quick brown fax jumps over the lazy operator 0123456789 " * 3
    for number, top in enumerate(range(120, 2180, 38)):
        draw.text((120, top), f"{number} {line}"[:105], fill=0, font=typeface)
    return page


def compared(what: str, pages: list[Image.Image]) -> list[tuple[str, ...]]:
    """The rows of one document: um, tiff2pdf and Ghostscript in turn."""
    document = tiff(pages, dpi=FINE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, plain, second = folder / "fax.tif", folder / "tiff2pdf.pdf", folder / "gs.pdf"
        source.write_bytes(document)
        um, size = asyncio.run(ours(document))

        def run(*command: str) -> Callable[[], object]:
            return lambda: subprocess.run(command, check=True, capture_output=True)

        tiff2pdf = timed(run("tiff2pdf", "-o", str(plain), str(source)))
        # Ghostscript does not read TIFF: its figure is the PDF of tiff2pdf made anew.
        quiet = ("-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", f"-o{second}")
        gs = timed(run("gs", *quiet, str(plain)))
        rows = [
            ("um: decoded, checked, header line, PDF/A, img2pdf", um, size),
            ("tiff2pdf (decodes nothing)", tiff2pdf, plain.stat().st_size),
            ("Ghostscript pdfwrite, from that PDF", gs, second.stat().st_size),
        ]
    return [
        (
            what,
            maker,
            f"{took[0]:.3f}",
            f"{took[1]:.2f}",
            f"{len(pages) / took[0]:.0f}",
            str(octets),
            f"{took[0] / um[0]:.2f}",
        )
        for maker, took, octets in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    count = parser.parse_args().pages
    rows = compared("office text", [office_page(f"page {n}") for n in range(count)])
    rows += compared("smallest print", [dense_page(f"page {n}") for n in range(count)])
    report(
        f"Fax: {count} fine G4 pages to one PDF",
        command="python -m bench.fax_pdf",
        head=("pages", "maker", "seconds", "processor s", "pages/s", "octets", "time / um"),
        rows=rows,
        notes=f"Best of {REPEATS}, um in a warm worker that decodes two pages at a time, without OCR. "
        f"Other programs ran beside it (load average {os.getloadavg()[0]:.0f}), all makers here at "
        f"niceness {os.nice(0)}: the processor seconds are the steadier figure.",
    )


if __name__ == "__main__":
    main()
