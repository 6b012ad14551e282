"""The house's own key: one file in data_dir, made at the first start, for this user's eyes only."""

import os
import secrets
from pathlib import Path

from um.core.errors import UnavailableError
from um.service.forward.signing import LEAST_OCTETS

FILE = "links.key"


def read_or_make_key(folder: Path) -> bytes:
    """The key in `folder`; made if there is none.

    Two processes that start at once agree on one: the file appears whole, or not at all.
    Raises UnavailableError.
    """
    path = folder / FILE
    try:
        if not path.exists():
            _make(path)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror}") from error
    except ValueError:
        key = b""
    if len(key) < LEAST_OCTETS:
        raise UnavailableError(f"{path}: this is not a key of {LEAST_OCTETS} octets in hexadecimal")
    return key


def _make(path: Path) -> None:
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(LEAST_OCTETS) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(new)
    except FileExistsError:
        pass  # another process was first
    finally:
        new.unlink()
