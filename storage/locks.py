"""The locks of a data folder: every `um` process shares it, a migration or repair has it alone.

Over SQLite one process serves, and holds a second lock to say so. Both are an flock on a file, which
the kernel lets go of when the process ends, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from um.core.errors import UMError

NAME = "um.lock"
SERVER = "serve.lock"


class DataFolderBusyError(UMError):
    """Another um process uses the data folder (or has it alone)."""

    code = "data-folder-busy"
    temporary = True
    default = "Another um process is using the data folder"


@contextmanager
def hold(data_dir: Path, *, exclusive: bool = False) -> Iterator[None]:
    """Hold the folder's lock in the block; the folder is made if it is missing.

    `serve` and every command share it; a migration and `fsck --repair` are exclusive.
    Raises DataFolderBusyError at once if it cannot be had.
    """
    with _flocked(
        data_dir / NAME,
        fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH,
        f"Other um processes are using {data_dir}: stop them first"
        if exclusive
        else f"A migration or repair is at work in {data_dir}: try again later",
    ):
        yield


@contextmanager
def serve_alone(data_dir: Path) -> Iterator[None]:
    """Be the folder's one server in the block: SQLite has one writer, and it must know its sessions.

    Raises DataFolderBusyError at once if another process serves.
    """
    with _flocked(
        data_dir / SERVER,
        fcntl.LOCK_EX,
        f"Another um serve is running on {data_dir}: stop it first",
    ):
        yield


@contextmanager
def _flocked(path: Path, how: int, refusal: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderBusyError(refusal) from error
        yield
    finally:
        os.close(descriptor)
