"""Ghostscript, the only module that runs it: a PDF given by an operator becomes a fax TIFF.

Never in the path of a received fax, never on mail attachments. It runs with -dSAFER in `fax.sandbox`.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

from fax.sandbox import Limits, Sandbox
from um.core.errors import RefusedDocumentError, UnavailableError

WALL_SECONDS = 60.0
_CPU_SECONDS = 45
MAX_PDF_OCTETS = 64 * 1024 * 1024
_HEADER_WITHIN = 1024
"""Readers accept `%PDF-` anywhere in the first kilobyte (ISO 32000-1 annex H.3.4.1)."""

_RENDER = (
    "gs",
    "-dSAFER",
    "-dBATCH",
    "-dNOPAUSE",
    "-q",
    "-dPDFSTOPONERROR",
    "-sDEVICE=tiffg4",
    "-r204x196",
    "-dFIXEDMEDIA",
    "-dPDFFitPage",
    "-dLastPage=201",
)
"""Fine fax resolution; one page more than any fax may have, so that too many are seen as such."""
_ROWS = {"a4": 2292, "letter": 2156}
"""The paper's length at 196 dots an inch."""


def is_pdf(data: bytes) -> bool:
    """Whether the document says that it is a PDF."""
    return b"%PDF-" in data[:_HEADER_WITHIN]


class Ghostscript:
    """Runs `gs` in a sandbox."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self.sandbox = sandbox or Sandbox()

    async def to_fax_tiff(self, data: bytes, *, paper: str = "a4") -> bytes:
        """Render a PDF as fine fax pages of 1728 pixels (G4, 204 x 196 dpi).

        Raises RefusedDocumentError (no PDF that can be read whole, or beyond the limits) and
        UnavailableError (no Ghostscript here).
        """
        if len(data) > MAX_PDF_OCTETS:
            raise RefusedDocumentError("The PDF is too large")
        if shutil.which("gs") is None:
            raise UnavailableError("Ghostscript is not installed")
        with tempfile.TemporaryDirectory(prefix="um-gs-") as name:
            folder = Path(name)
            await asyncio.to_thread((folder / "in.pdf").write_bytes, data)
            await self._render(folder, _ROWS[paper])
            return await asyncio.to_thread(_result, folder / "out.tif")

    async def _render(self, folder: Path, rows: int) -> None:
        page = (f"-g1728x{rows}", f"-sOutputFile={folder / 'out.tif'}", str(folder / "in.pdf"))
        limits = Limits(wall_seconds=WALL_SECONDS, cpu_seconds=_CPU_SECONDS)
        if not await self.sandbox.run((*_RENDER, *page), limits, folder=folder):
            raise RefusedDocumentError("The PDF could not be read")


def _result(path: Path) -> bytes:
    """The TIFF that Ghostscript wrote. Raises RefusedDocumentError."""
    if not path.exists() or not path.stat().st_size:
        raise RefusedDocumentError("The PDF has no pages that can be read")
    return path.read_bytes()
