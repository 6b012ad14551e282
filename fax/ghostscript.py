"""Ghostscript, the only module that runs it: a PDF given by an operator becomes a fax TIFF.

Never in the path of a received fax, never on mail attachments. It runs with -dSAFER, under limits
of memory, processor, file size and wall time, and where the machine allows it in a sandbox of its
own (bubblewrap: no network, nothing of the server's files, nothing writable but its folder).
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import structlog

from um.core.errors import RefusedDocumentError, UnavailableError

log = structlog.get_logger(__name__)

WALL_SECONDS = 60.0
MAX_PDF_OCTETS = 64 * 1024 * 1024
_LIMITS = (
    "prlimit",
    f"--as={1024 * 1024 * 1024}",
    "--cpu=45",
    f"--fsize={64 * 1024 * 1024}",
    "--core=0",
)
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
_SANDBOX = (
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
)
_READABLE = (
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/fonts",
    "/etc/alternatives",
    "/var/lib/ghostscript",
)
_SCRATCH = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108 - the sandbox's own


def is_pdf(data: bytes) -> bool:
    """Whether the document says that it is a PDF."""
    return b"%PDF-" in data[:_HEADER_WITHIN]


class Ghostscript:
    """Runs `gs`; finds out once whether the sandbox works here."""

    def __init__(self) -> None:
        self._sandbox: tuple[str, ...] | None = None

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

    async def sandbox(self) -> tuple[str, ...]:
        """How a command in bubblewrap begins; empty where that does not work."""
        if self._sandbox is None:
            readable = [part for path in _READABLE for part in ("--ro-bind-try", path, path)]
            candidate = (*_SANDBOX, *readable, *_SCRATCH)
            works = await _succeeds((*candidate, "gs", "--version"), 10)
            if not works:
                log.warning("no sandbox for Ghostscript here: limits only")
            self._sandbox = candidate if works else ()
        return self._sandbox

    async def _render(self, folder: Path, rows: int) -> None:
        around = await self.sandbox()
        if around:
            around = (*around, "--bind", str(folder), str(folder))
        page = (f"-g1728x{rows}", f"-sOutputFile={folder / 'out.tif'}", str(folder / "in.pdf"))
        if not await _succeeds((*_LIMITS, *around, *_RENDER, *page), WALL_SECONDS):
            raise RefusedDocumentError("The PDF could not be read")


async def _succeeds(command: tuple[str, ...], seconds: float) -> bool:
    """Run a command in silence; False if it fails, cannot be started or takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        return await asyncio.wait_for(process.wait(), seconds) == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _result(path: Path) -> bytes:
    """The TIFF that Ghostscript wrote. Raises RefusedDocumentError."""
    if not path.exists() or not path.stat().st_size:
        raise RefusedDocumentError("The PDF has no pages that can be read")
    return path.read_bytes()
