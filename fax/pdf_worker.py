"""The worker process that makes PDFs: `python -m fax.pdf_worker IN OUT`, one job after another.

What a job is stands in a JSON head on standard input, behind its length in four octets; its documents
stand in the memory file IN. The answer goes the same way: a head on standard output, octets in OUT.
The server kills the process when a job takes too long; what a job may use of memory, processor and
disk it limits itself. Imports img2pdf and Pillow, which the server does not.
"""

import json
import math
import os
import resource
import signal
import struct
import sys
import threading
from typing import Any, BinaryIO

from fax import libtiff
from fax.document import Additions, make_pdf
from fax.pages import find_pages, salvage
from fax.tiff import BadPage
from fax.upright import upright
from fax.words import Word
from um.core.errors import RefusedDocumentError, UMError

ADDRESS_SPACE_OCTETS = 700 * 1024 * 1024
CPU_SECONDS = 10
FILE_OCTETS = 100 * 1024 * 1024
_STACK_OCTETS = 1024 * 1024
"""Of a decoding thread: the usual 8 MiB would count against the address space."""

_Answer = tuple[dict[str, Any], list[bytes]]


class Frames:
    """One side of the conversation: heads through two pipes, bodies through two memory files."""

    def __init__(self, jobs: BinaryIO, answers: BinaryIO, incoming: int, outgoing: int) -> None:
        self._jobs, self._answers = jobs, answers
        self._incoming, self._outgoing = incoming, outgoing

    def read(self) -> _Answer | None:
        """The next job; None at the end of input."""
        length = self._jobs.read(4)
        if len(length) < 4:
            return None
        head = json.loads(self._jobs.read(struct.unpack("!I", length)[0]))
        bodies, at = [], 0
        for size in head["sizes"]:
            bodies.append(os.pread(self._incoming, size, at))
            at += size
        return head, bodies

    def write(self, head: dict[str, Any], bodies: list[bytes]) -> None:
        """The answer; its head says how long each body is."""
        at = 0
        for body in bodies:
            view = memoryview(body)
            while view:
                written = os.pwrite(self._outgoing, view, at)
                view, at = view[written:], at + written
        text = json.dumps({**head, "sizes": [len(body) for body in bodies]}).encode()
        self._answers.write(struct.pack("!I", len(text)) + text)
        self._answers.flush()


def _work(head: dict[str, Any], documents: list[bytes]) -> _Answer:
    task = _upright if "upright" in head else _convert
    try:
        return task(head, documents)
    except UMError as error:
        return {"refused": error.public}, []
    except MemoryError:
        return {"refused": "The document needs too much memory"}, []


def _convert(head: dict[str, Any], documents: list[bytes]) -> _Answer:
    """All pages that decode, as one PDF."""
    salvaged = salvage(documents, max_pages=head["max_pages"])
    words = {int(number): [Word(*word) for word in page] for number, page in head["words"].items()}
    additions = Additions(header=head["header"], words=words)
    pdf = make_pdf(salvaged, paper=head["paper"], additions=additions)
    return {
        "pages": len(salvaged.pages),
        "dropped": salvaged.dropped,
        "notes": list(salvaged.notes),
        "numbers": list(salvaged.numbers),
        "bad_rows": [page.bad_rows for page in salvaged.pages],
    }, [pdf]


def _upright(head: dict[str, Any], documents: list[bytes]) -> _Answer:
    """One page as a picture for reading; an empty one if the page cannot be read."""
    pages = find_pages(documents, max_pages=head["max_pages"])
    number = head["upright"]
    if number > len(pages):
        raise RefusedDocumentError("There is no such page")
    page = pages[number - 1]
    picture = None if isinstance(page, BadPage) else upright(page)
    return {"pages": len(pages)}, [picture or b""]


def limit_memory_and_files() -> None:
    """From here on the kernel refuses more than a job may have."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_OCTETS, ADDRESS_SPACE_OCTETS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_OCTETS, FILE_OCTETS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_one_job() -> None:
    """Another ten seconds of processor for the next job; beyond them the kernel ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    """Work until standard input ends."""
    incoming, outgoing = (int(argument) for argument in sys.argv[1:3])
    frames = Frames(sys.stdin.buffer, sys.stdout.buffer, incoming, outgoing)
    # A signal to the whole group is the server's to obey: it closes our input in its time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libtiff.load()
    threading.stack_size(_STACK_OCTETS)
    limit_memory_and_files()
    frames.write({"ready": True}, [])
    while (job := frames.read()) is not None:
        allow_one_job()
        frames.write(*_work(*job))


if __name__ == "__main__":
    main()
