"""pymap from PyPI (a Python IMAP server) on loopback, with its in-memory store.

It stands in a virtual environment of its own, made on the first run below `~/.cache/um-peers`:
what it needs shall not mix with what we need.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from bench.peers.dovecot import free_port

VERSION = "0.36.7"


def installed() -> Path:
    """The program; installed if it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "um-peers"
    folder = cache / f"pymap-{VERSION}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"pymap=={VERSION}"], check=True)
        (folder / "done").touch()
    return folder / "bin" / "pymap"


class Pymap:
    """A running pymap; a context manager. `imap` is its port, with STARTTLS."""

    def __init__(self, root: Path, *, certificate: Path, key: Path) -> None:
        self.root, self.certificate, self.key = root, certificate, key
        self.imap = free_port()

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        program = installed()
        listen = ["--host", "127.0.0.1", "--port", str(self.imap)]
        tls = ["--cert", self.certificate, "--key", self.key]
        store = ["dict", "--demo-data", "--demo-user", "bench", "--demo-password", "bench"]
        with (self.root / "pymap.log").open("ab") as log:
            command = [program, *listen, *tls, *store]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        _wait(self.imap)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit("pymap did not start") from None
            time.sleep(0.1)
        else:
            return
