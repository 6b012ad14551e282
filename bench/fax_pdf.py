"""Fax pages to PDF a second: ours (every page decoded first), tiff2pdf and Ghostscript in turn."""

import argparse
import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.report import report
from fax.pdf import PdfMaker
from tests.support.tiffs import FINE, dense_page, tiff

REPEATS = 5


def timed(work: Callable[[], object]) -> float:
    """The best of some, in seconds."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


async def ours(document: bytes) -> tuple[float, int]:
    """Seconds in a warm worker, and the octets of the PDF."""
    maker = PdfMaker()
    await maker.start()
    best, size = float("inf"), 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        made = await maker.convert(document)
        best, size = min(best, time.perf_counter() - start), len(made.pdf)
    await maker.close()
    return best, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=30)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    pages = parser.parse_args().pages
    document = tiff([dense_page(f"page {n}") for n in range(pages)], dpi=FINE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, plain, second = folder / "fax.tif", folder / "tiff2pdf.pdf", folder / "gs.pdf"
        source.write_bytes(document)
        seconds, size = asyncio.run(ours(document))

        def run(*command: str) -> Callable[[], object]:
            return lambda: subprocess.run(command, check=True, capture_output=True)

        tiff2pdf = timed(run("tiff2pdf", "-o", str(plain), str(source)))
        # Ghostscript does not read TIFF: its figure is the PDF of tiff2pdf made anew.
        gs = timed(
            run(
                "gs",
                "-q",
                "-dSAFER",
                "-dBATCH",
                "-dNOPAUSE",
                "-sDEVICE=pdfwrite",
                f"-o{second}",
                str(plain),
            )
        )
        rows = [
            ("um: decoded, checked, img2pdf in a warm worker", seconds, size),
            ("tiff2pdf (decodes nothing)", tiff2pdf, plain.stat().st_size),
            ("Ghostscript pdfwrite, from that PDF", gs, second.stat().st_size),
        ]
    report(
        f"Fax: {pages} fine G4 pages to one PDF",
        command="python -m bench.fax_pdf",
        head=("maker", "seconds", "pages/s", "octets", "time / um"),
        rows=[
            (what, f"{took:.3f}", f"{pages / took:.0f}", octets, f"{took / seconds:.2f}")
            for what, took, octets in rows
        ],
        notes=f"Dense text, {len(document)} octets of TIFF, best of five.",
    )


if __name__ == "__main__":
    main()
