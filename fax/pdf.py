"""Fax pages to one PDF, in a worker process that can be killed (`fax.pdf_worker`).

Laws: every page is decoded to its last row before it is put into a PDF; no document, however
damaged, takes more than 20 s of wall time, 10 s of processor or 700 MB, and none can hurt the
server. A worker is warm: started with the server, kept for many jobs, replaced when it dies. Octets go
through memory files that both processes hold, not through pipes: a PDF of 8 MB costs milliseconds.
"""

import asyncio
import json
import os
import struct
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from fax.tiff import MAX_PAGES
from fax.words import Word
from um.core.errors import RefusedDocumentError, UnavailableError
from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)

WALL_SECONDS = 20.0
_START_SECONDS = 60.0
_JOBS_A_WORKER = 200
"""A worker retires after so many, so that nothing it leaks adds up."""
MAX_DOCUMENT_OCTETS = 64 * 1024 * 1024
_MAX_HEAD_OCTETS = 1024 * 1024
_PIECE_OCTETS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FaxDocument:
    """A PDF and what became of the pages."""

    pdf: bytes
    pages: int
    dropped: int
    """Pages that could not be read and are not in the PDF."""
    notes: tuple[str, ...] = ()
    """One sentence for each page dropped or kept with flaws."""
    bad_rows: tuple[int, ...] = ()
    """Of each page in the PDF: rows that came damaged."""
    numbers: tuple[int, ...] = ()
    """Of each page in the PDF: its place among all pages, from 1."""


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

    async def convert(
        self,
        documents: bytes | Sequence[bytes],
        *,
        header: str = "",
        words: Mapping[int, Sequence[Word]] | None = None,
    ) -> FaxDocument:
        """The pages of one or several TIFFs, in order, as one PDF.

        Args:
            documents: the TIFFs.
            header: the line above every page, without its page number; no line if empty.
            words: what was read from the pages, by their place among all, from 1.

        Raises:
            RefusedDocumentError: no page can be read, or the limits were passed; with the reason.
            UnavailableError: no worker can be started.
        """
        head = {
            "paper": self._paper,
            "header": header,
            "words": {
                number: [_plain(word) for word in page] for number, page in (words or {}).items()
            },
        }
        answer, bodies = await self._do(head, documents)
        if "refused" in answer:
            self._metrics.count("fax_documents_refused")
            raise RefusedDocumentError(answer["refused"])
        return FaxDocument(
            bodies[0],
            answer["pages"],
            answer["dropped"],
            tuple(answer["notes"]),
            tuple(answer["bad_rows"]),
            tuple(answer["numbers"]),
        )

    async def picture(self, documents: bytes | Sequence[bytes], number: int) -> bytes | None:
        """Page `number` (from 1) as a PGM for character recognition; b"" if it cannot be read.

        None if there are fewer pages. Raises as `convert` does.
        """
        answer, bodies = await self._do({"upright": number}, documents)
        return None if "refused" in answer else bodies[0]

    async def _do(
        self, head: dict[str, Any], documents: bytes | Sequence[bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        parts = [documents] if isinstance(documents, bytes) else list(documents)
        if sum(map(len, parts)) > MAX_DOCUMENT_OCTETS:
            raise RefusedDocumentError("The document is too large")
        async with self._worker() as worker:
            return await worker.work({**head, "max_pages": self._max_pages}, parts)

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


def _plain(word: Word) -> list[Any]:
    return [word.text, word.left, word.top, word.width, word.height, word.line]


class _Worker:
    """One process, started and ready."""

    def __init__(self, process: asyncio.subprocess.Process, jobs: int, answers: int) -> None:
        self._process = process
        self._memory = [jobs, answers]
        self._jobs_fd, self._answers_fd = jobs, answers
        self.jobs = 0

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(cls) -> "_Worker":
        """Raises UnavailableError."""
        memory: list[int] = []
        try:
            names = ("fax-job", "fax-answer")
            memory.extend(os.memfd_create(name, os.MFD_CLOEXEC) for name in names)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "fax.pdf_worker",
                *map(str, memory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=memory,
                limit=1 << 20,
                # An arena a thread would count against the worker's address space.
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )
        except BaseException as error:
            for fd in memory:
                os.close(fd)
            if isinstance(error, OSError):
                raise UnavailableError("The PDF worker does not start") from error
            raise
        worker = cls(process, *memory)
        try:
            await asyncio.wait_for(worker._read(), _START_SECONDS)
        except BaseException as error:  # given up, too: nobody else knows of the process
            await worker.kill()
            if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
                raise UnavailableError("The PDF worker does not start") from error
            raise
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
        await _fill(self._jobs_fd, parts)
        text = json.dumps({**head, "sizes": [len(part) for part in parts]}).encode()
        stdin.writelines([struct.pack("!I", len(text)), text])
        await stdin.drain()
        answer = await self._read()
        for fd in (self._jobs_fd, self._answers_fd):
            os.ftruncate(fd, 0)
        return answer

    async def _read(self) -> tuple[dict[str, Any], list[bytes]]:
        stdout = self._process.stdout
        assert stdout is not None
        (length,) = struct.unpack("!I", await stdout.readexactly(4))
        if length > _MAX_HEAD_OCTETS:
            raise asyncio.IncompleteReadError(b"", length)
        head = json.loads(await stdout.readexactly(length))
        return head, await _taken(self._answers_fd, head["sizes"])

    async def stop(self) -> None:
        """Let it end by itself, soon."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            log.warning("pdf worker does not end")
        await self.kill()

    async def kill(self) -> None:
        """End it now."""
        if self.alive:
            try:
                self._process.kill()
            except ProcessLookupError:
                log.debug("pdf worker was gone already")
        await self._process.wait()
        self._release()

    def _release(self) -> None:
        while self._memory:
            os.close(self._memory.pop())


async def _fill(fd: int, parts: Sequence[bytes]) -> None:
    """Write the documents one behind the other, from the start.

    Here and in `_taken` nothing runs on a thread: a job that is cancelled must leave no one behind
    who uses a descriptor that is closed by then. A piece is copied in about a millisecond.
    """
    at = 0
    for part in parts:
        view = memoryview(part)
        while view:
            written = os.pwrite(fd, view[:_PIECE_OCTETS], at)
            view, at = view[written:], at + written
            await asyncio.sleep(0)


async def _taken(fd: int, sizes: Sequence[int]) -> list[bytes]:
    """What the worker wrote. Raises IncompleteReadError if it is less than it says."""
    bodies, at = [], 0
    for size in sizes:
        pieces = []
        end = at + size
        while at < end:
            piece = os.pread(fd, min(_PIECE_OCTETS, end - at), at)
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            pieces.append(piece)
            at += len(piece)
            await asyncio.sleep(0)
        bodies.append(b"".join(pieces))
    return bodies
