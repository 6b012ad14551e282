"""Pages of a PDF as pictures for people, the only module that runs `pdftoppm`.

For faxes, which we made, and bills, which the operator's billing made; a stranger's document is never
drawn. It runs in `fax.sandbox`, under limits, and draws as many pages a run as it is told, no more.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fax.sandbox import Limits, Sandbox
from um.core.errors import RefusedDocumentError

PROGRAM = "pdftoppm"
WALL_SECONDS = 20.0
MAX_PDF_OCTETS = 64 * 1024 * 1024
LONGEST_SIDE = 1170
"""Pixels: 100 dots an inch of A4, legible on a telephone when it is enlarged."""
AT_ONCE = 2
"""Runs beside the calls."""
_LIMITS = Limits(wall_seconds=WALL_SECONDS, cpu_seconds=15, memory_octets=512 << 20, nice=5)


class Sheets:
    """Draws; few runs at a time."""

    def __init__(self, *, at_once: int, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox or Sandbox()
        self._sheets = at_once
        self._room = asyncio.Semaphore(AT_ONCE)

    async def draw(self, pdf: bytes, first: int) -> Sequence[bytes]:
        """The pages from number `first` on, as many as a run draws, as PNG; none after the last.

        Raises RefusedDocumentError for what cannot be drawn.
        """
        if not pdf.startswith(b"%PDF-") or len(pdf) > MAX_PDF_OCTETS:
            raise RefusedDocumentError("The document is no PDF")
        async with self._room:
            with tempfile.TemporaryDirectory(prefix="um-sheets-") as name:
                folder = Path(name)
                await asyncio.to_thread((folder / "in.pdf").write_bytes, pdf)
                if not await self._sandbox.run(
                    _command(folder, first, first + self._sheets - 1), _LIMITS, folder=folder
                ):
                    raise RefusedDocumentError("The document cannot be drawn")
                return await asyncio.to_thread(_drawn, folder)


def _command(folder: Path, first: int, last: int) -> tuple[str, ...]:
    size = ("-scale-to", str(LONGEST_SIDE))
    pages = ("-f", str(first), "-l", str(last))
    return (PROGRAM, "-q", "-png", "-gray", *size, *pages, str(folder / "in.pdf"), f"{folder}/p")


def _drawn(folder: Path) -> Sequence[bytes]:
    return [each.read_bytes() for each in sorted(folder.glob("p-*.png"))]
