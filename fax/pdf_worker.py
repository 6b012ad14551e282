"""The worker process that makes PDFs: `python -m fax.pdf_worker`, one job after another.

A job comes on standard input, its answer goes to standard output, both as frames: a length of four
octets, a JSON head, then octets. The server kills it when a job takes too long; what a job may use
of memory, processor and disk it limits itself. Imports img2pdf and Pillow, which the server does not.
"""

import json
import math
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

import img2pdf

from fax import libtiff
from fax.layout import page_points
from fax.pages import Salvaged, salvage
from fax.tiff import write_page
from um.core.errors import RefusedDocumentError, UMError

ADDRESS_SPACE_OCTETS = 700 * 1024 * 1024
CPU_SECONDS = 10
FILE_OCTETS = 100 * 1024 * 1024
MAX_FRAME_OCTETS = 256 * 1024 * 1024


def write_frame(stream: BinaryIO, head: dict[str, Any], bodies: list[bytes]) -> None:
    """One frame: the head says how long each body is."""
    text = json.dumps({**head, "sizes": [len(body) for body in bodies]}).encode()
    stream.write(struct.pack("!I", len(text)) + text + b"".join(bodies))
    stream.flush()


def _read_frame(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    length = stream.read(4)
    if len(length) < 4:
        return None
    head = json.loads(stream.read(struct.unpack("!I", length)[0]))
    return head, [stream.read(size) for size in head["sizes"]]


def make_pdf(salvaged: Salvaged, *, paper: str) -> bytes:
    """One PDF of whole pages, their G4 octets passed through; equal pages give equal octets."""
    pages = iter(salvaged.pages)

    def layout(
        _width: int, _height: int, _dpi: tuple[float, float]
    ) -> tuple[float, float, float, float]:
        page = next(pages)  # img2pdf asks once for each image, in order
        width, height = page_points(
            page.width, page.rows, x_dpi=page.x_dpi, y_dpi=page.y_dpi, paper=paper
        )
        return width, height, width, height

    pdf = img2pdf.convert(
        [write_page(page) for page in salvaged.pages],
        layout_fun=layout,
        engine=img2pdf.Engine.internal,
        nodate=True,
        producer="um",
    )
    if not isinstance(pdf, bytes):
        raise RefusedDocumentError
    return pdf


def _work(head: dict[str, Any], documents: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
    try:
        salvaged = salvage(documents, max_pages=head["max_pages"])
        pdf = make_pdf(salvaged, paper=head["paper"])
    except UMError as error:
        return {"refused": error.public}, []
    except MemoryError:
        return {"refused": "The document needs too much memory"}, []
    return {
        "pages": len(salvaged.pages),
        "dropped": salvaged.dropped,
        "notes": list(salvaged.notes),
    }, [pdf]


def _allow_one_job() -> None:
    """Another ten seconds of processor for the next job; beyond them the kernel ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> None:
    """Work until standard input ends."""
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    # A signal to the whole group is the server's to obey: it closes our input in its time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libtiff.load()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_OCTETS, ADDRESS_SPACE_OCTETS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_OCTETS, FILE_OCTETS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    write_frame(answers, {"ready": True}, [])
    while (job := _read_frame(jobs)) is not None:
        _allow_one_job()
        write_frame(answers, *_work(*job))


if __name__ == "__main__":
    main()
