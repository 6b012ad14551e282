"""Full decoding of CCITT images by libtiff, bound by cffi: the only judge of whether a page is whole.

libtiff reports success for images that break off; what it says of single rows goes to its warning
and error functions only, so those are counted. The functions are the library's own globals, set once;
each thread hears the reports of its own decoding, so that pages are decoded side by side. Only TIFFs
that `fax.tiff.write_page` wrote are shown to libtiff.
"""

import os
import re
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import cffi

from fax.tiff import TiffPage, write_page
from um.core.errors import UnavailableError

LIBRARY = "libtiff.so.6"

_DECLARATIONS = """
typedef void (*report)(const char *module, const char *format, void *arguments);
report TIFFSetWarningHandler(report handler);
report TIFFSetErrorHandler(report handler);
void *TIFFFdOpen(int fd, const char *name, const char *mode);
void TIFFClose(void *tiff);
ssize_t TIFFReadEncodedStrip(void *tiff, uint32_t strip, void *buffer, ssize_t size);
int vsnprintf(char *buffer, size_t size, const char *format, void *arguments);
"""
_LINE = re.compile(r"at line (\d+)")
_MAX_REPORTS = 50_000


class LibtiffMissingError(UnavailableError):
    """The shared library is not on this machine."""

    default = "The fax image library is not installed"


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page's bitmap and what was wrong on the way."""

    bitmap: bytes
    """Rows of (width + 7) // 8 octets, first pixel in the highest bit, as the page's photometric says."""
    bad_rows: int
    """Rows that libtiff complained of."""
    first_bad_row: int | None
    broken_off: bool
    """The data end before the last row."""


class _Decoder:
    """The loaded library with its two report functions."""

    def __init__(self) -> None:
        self._ffi = cffi.FFI()
        self._ffi.cdef(_DECLARATIONS)
        try:
            self._tiff: Any = self._ffi.dlopen(LIBRARY)
        except OSError as error:
            raise LibtiffMissingError(f"{LIBRARY} cannot be loaded: install libtiff6") from error
        self._libc: Any = self._ffi.dlopen(None)
        self._listeners: dict[int, list[str]] = {}
        """By thread, the reports of the page it decodes now."""
        self._handle = self._ffi.callback("report", self._on_report)

    def _on_report(self, _module: Any, form: Any, arguments: Any) -> None:
        # SpanDSP writes its TIFF through the same library on another thread: nobody listens there.
        reports = self._listeners.get(threading.get_ident())
        if reports is not None and len(reports) < _MAX_REPORTS:
            buffer = self._ffi.new("char[]", 256)
            self._libc.vsnprintf(buffer, 256, form, arguments)
            text = self._ffi.string(buffer)
            reports.append(text.decode("ascii", "replace") if isinstance(text, bytes) else "")

    def decode(self, page: TiffPage) -> Decoded:
        fd = os.memfd_create("fax-page", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(write_page(page))
            os.lseek(fd, 0, os.SEEK_SET)
            return self._decode(page, fd)
        finally:
            os.close(fd)

    def _decode(self, page: TiffPage, fd: int) -> Decoded:
        """`fd` stays open: libtiff gets a duplicate that TIFFClose closes."""
        self._tiff.TIFFSetWarningHandler(self._handle)  # always the same two: no race
        self._tiff.TIFFSetErrorHandler(self._handle)
        own = os.dup(fd)
        handle = self._tiff.TIFFFdOpen(own, b"page", b"rm")
        if handle == self._ffi.NULL:
            os.close(own)
            return Decoded(b"", page.rows, 0, broken_off=True)
        reports = self._listeners[threading.get_ident()] = []
        try:
            return self._read_strips(page, handle, reports)
        finally:
            del self._listeners[threading.get_ident()]
            self._tiff.TIFFClose(handle)

    def _read_strips(self, page: TiffPage, handle: Any, reports: list[str]) -> Decoded:
        stride = (page.width + 7) // 8
        bitmap = bytearray()
        bad: set[int] = set()
        broken_off = False
        for number in range(len(page.strips)):
            first = number * page.rows_per_strip
            rows = min(page.rows_per_strip, page.rows - first)
            buffer = self._ffi.new("char[]", stride * rows)
            reports.clear()
            got = self._tiff.TIFFReadEncodedStrip(handle, number, buffer, stride * rows)
            bitmap += self._ffi.buffer(buffer, stride * rows)
            for report in reports:
                line = _LINE.search(report)
                bad.add(first + min(int(line[1]), rows - 1) if line else first)
            broken_off |= got != stride * rows or any("EOF" in text for text in reports)
        return Decoded(bytes(bitmap), len(bad), min(bad, default=None), broken_off)


_LOADING = threading.Lock()


@cache
def _loaded() -> _Decoder:
    return _Decoder()


def load() -> _Decoder:
    """Load the library once: a second decoder would take the first one's reports away.

    Raises LibtiffMissingError.
    """
    with _LOADING:
        return _loaded()


def decode(page: TiffPage) -> Decoded:
    """Decode every row of a page. Raises LibtiffMissingError; bad data raises nothing."""
    return load().decode(page)
