"""The pixels of a fax PDF, read by poppler: independent of how the PDF was made."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops


def pages_of_pdf(pdf: bytes) -> list[Image.Image]:
    """The page images as they are stored, black and white, by `pdfimages`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fax.pdf").write_bytes(pdf)
        command = ["pdfimages", "-png", str(folder / "fax.pdf"), str(folder / "page")]
        subprocess.run(command, check=True, capture_output=True)
        pages = []
        for file in sorted(folder.glob("page-*.png")):
            with Image.open(file) as image:
                pages.append(image.convert("1"))
        return pages


def same_pixels(sent: Sequence[Image.Image], received: Sequence[Image.Image]) -> bool:
    """Whether all pages are equal in size and in every pixel."""
    return len(sent) == len(received) and all(
        one.size == other.size
        and ImageChops.difference(one.convert("L"), other.convert("L")).getbbox() is None
        for one, other in zip(sent, received, strict=True)
    )
