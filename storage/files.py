"""Writing files so that a power cut cannot take them: the one place that calls fsync.

Laws:
- An fsync that fails ends the process: the kernel may have dropped the pages, and a second fsync
  would report success for data that is gone (PostgreSQL's "fsyncgate", 2018).
- A full or failing disk while writing is UnavailableError: nothing was acknowledged.
"""

import errno
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import structlog

from um.core.errors import UnavailableError

log = structlog.get_logger(__name__)

EXIT_STATUS = 74
"""EX_IOERR of sysexits.h: the service manager starts the process anew and the spool is replayed."""

_PROCESS = secrets.token_hex(4)
_numbers = itertools.count()
"""Name temporary files apart; a draw of randomness for each lets go of the interpreter's lock."""

_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE}


def die(error: OSError) -> NoReturn:
    """End the process at once, without any clean-up that could claim success. Tests replace it."""
    log.critical("fsync failed, ending the process", error=str(error))
    os._exit(EXIT_STATUS)


def sync(descriptor: int) -> None:
    """fsync, or the end."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        die(error)


def sync_directory(folder: Path) -> None:
    """Make names in `folder` durable: a rename or unlink is not until its directory is synced."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, within: Path) -> None:
    """Make `folder` and its missing parents below `within`, each durable in its own parent."""
    if folder.is_dir():
        return
    if folder != within:
        make_folder(folder.parent, within=within)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_directory(folder.parent)


def write_new(folder: Path, data: bytes, *, prefix: str = ".") -> Path:
    """Write `data` to a new file with a temporary name in `folder`; not synced yet."""
    path = folder / f"{prefix}{_PROCESS}{next(_numbers):08x}.tmp"
    with refusals():
        try:
            with path.open("xb", buffering=0) as file:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    return path


def sync_file(path: Path) -> None:
    """Fsync a file by its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(path: Path, data: bytes) -> None:
    """Put `data` under `path`: after a power cut the old or the new content is there, whole."""
    temporary = write_new(path.parent, data)
    sync_file(temporary)
    temporary.replace(path)
    sync_directory(path.parent)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a full or failing disk into UnavailableError."""
    try:
        yield
    except OSError as error:
        if error.errno in _REFUSED:
            log.warning("disk refused", error=str(error))
            raise UnavailableError from error
        raise
