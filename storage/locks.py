"""The lock of a data folder: every `um` process shares it, a migration or repair has it alone.

It is an flock on `um.lock`, which the kernel lets go of when the process ends, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from um.core.errors import UMError

NAME = "um.lock"


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
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderBusyError(
                f"Other um processes are using {data_dir}: stop them first"
                if exclusive
                else f"A migration or repair is at work in {data_dir}: try again later"
            ) from error
        yield
    finally:
        os.close(descriptor)
