"""Fax pages to one PDF, in a worker process that can be killed (`fax.pdf_worker`).

Laws: every page is decoded to its last row before it is put into a PDF; no document, however
damaged, takes more than 20 s of wall time, 10 s of processor or 700 MB, and none can hurt the
server. A worker is warm: started with the server, kept for many jobs, replaced when it dies.
"""

import asyncio
import json
import struct
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from fax.tiff import MAX_PAGES
from um.core.errors import RefusedDocumentError, UnavailableError
from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)

WALL_SECONDS = 20.0
_START_SECONDS = 20.0
_JOBS_A_WORKER = 200
"""A worker retires after so many, so that nothing it leaks adds up."""
MAX_DOCUMENT_OCTETS = 64 * 1024 * 1024
_MAX_HEAD_OCTETS = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FaxDocument:
    """A PDF and what became of the pages."""

    pdf: bytes
    pages: int
    dropped: int
    """Pages that could not be read and are not in the PDF."""
    notes: tuple[str, ...] = ()
    """One sentence for each page dropped or kept with flaws."""


class PdfMaker:
    """A pool of workers. `paper` is `a4` or `letter`."""

    def __init__(
        self,
        *,
        paper: str = "a4",
        max_pages: int = MAX_PAGES,
        workers: int = 2,
        metrics: Metrics | None = None,
    ) -> None:
        self._paper = paper
        self._max_pages = max_pages
        self._metrics = metrics or NoMetrics()
        self._free = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._closed = False

    async def start(self) -> None:
        """Have one worker warm. Raises UnavailableError."""
        if not self._idle:
            self._idle.append(await _Worker.start())

    async def convert(self, documents: bytes | Sequence[bytes]) -> FaxDocument:
        """The pages of one or several TIFFs, in order, as one PDF.

        Raises:
            RefusedDocumentError: no page can be read, or the limits were passed; with the reason.
            UnavailableError: no worker can be started.
        """
        parts = [documents] if isinstance(documents, bytes) else list(documents)
        if sum(map(len, parts)) > MAX_DOCUMENT_OCTETS:
            raise RefusedDocumentError("The document is too large")
        head = {"paper": self._paper, "max_pages": self._max_pages}
        async with self._worker() as worker:
            answer, bodies = await worker.work(head, parts)
        if "refused" in answer:
            self._metrics.count("fax_documents_refused")
            raise RefusedDocumentError(answer["refused"])
        return FaxDocument(bodies[0], answer["pages"], answer["dropped"], tuple(answer["notes"]))

    async def close(self) -> None:
        """End the idle workers; those at work end with their job."""
        self._closed = True
        while self._idle:
            await self._idle.pop().stop()

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator["_Worker"]:
        """A worker for one job; it goes back to the pool only if the job ended well."""
        async with self._free:
            worker = await self._take()
            try:
                yield worker
            except BaseException as error:
                await worker.kill()
                if isinstance(error, _WorkerDiedError):
                    self._metrics.count("fax_pdf_workers_lost")
                    log.warning("pdf worker lost", reason=error.public)
                raise
            if self._closed or worker.jobs >= _JOBS_A_WORKER:
                await worker.stop()
            else:
                self._idle.append(worker)

    async def _take(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.kill()
        return await _Worker.start()


class _WorkerDiedError(RefusedDocumentError):
    """The document was too much for the worker."""


class _Worker:
    """One process, started and ready."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.jobs = 0

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(cls) -> "_Worker":
        """Raises UnavailableError."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "fax.pdf_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=1 << 20,
            )
        except OSError as error:
            raise UnavailableError("The PDF worker does not start") from error
        worker = cls(process)
        try:
            await asyncio.wait_for(worker._read(), _START_SECONDS)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            await worker.kill()
            raise UnavailableError("The PDF worker does not start") from error
        return worker

    async def work(
        self, head: dict[str, Any], parts: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Do one job. Raises _WorkerDiedError."""
        self.jobs += 1
        try:
            return await asyncio.wait_for(self._job(head, parts), WALL_SECONDS)
        except TimeoutError as error:
            raise _WorkerDiedError("The document takes too long to read") from error
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError) as error:
            raise _WorkerDiedError("The document cannot be read within the limits") from error

    async def _job(
        self, head: dict[str, Any], parts: Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        stdin = self._process.stdin
        assert stdin is not None
        text = json.dumps({**head, "sizes": [len(part) for part in parts]}).encode()
        stdin.writelines([struct.pack("!I", len(text)), text, *parts])
        await stdin.drain()
        return await self._read()

    async def _read(self) -> tuple[dict[str, Any], list[bytes]]:
        stdout = self._process.stdout
        assert stdout is not None
        (length,) = struct.unpack("!I", await stdout.readexactly(4))
        if length > _MAX_HEAD_OCTETS:
            raise asyncio.IncompleteReadError(b"", length)
        head = json.loads(await stdout.readexactly(length))
        return head, [await stdout.readexactly(size) for size in head["sizes"]]

    async def stop(self) -> None:
        """Let it end by itself, soon."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it now."""
        if self.alive:
            try:
                self._process.kill()
            except ProcessLookupError:
                log.debug("pdf worker was gone already")
        await self._process.wait()
