"""Asterisk and Kamailio from the Debian root that `bin/peers` makes, run by bubblewrap.

The root is read-only and shared by all tests; one folder of the test is seen inside under its own
name, and is all that the peer can write. The network is the host's, so that loopback is. A peer dies
with the test that started it. A root that is missing is made; where that cannot be, the test fails.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support.priority import first
from tests.support.server import PROJECT

MAKING_SECONDS = 280.0


class PeerError(RuntimeError):
    """A peer is missing or did not do what was asked; the message ends with what it said."""


@cache
def root() -> Path:
    """The folder of the Debian root, made if it is missing (a minute; root's rights)."""
    done = subprocess.run(
        [str(PROJECT / "bin" / "peers")],
        capture_output=True,
        text=True,
        timeout=MAKING_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PeerError(f"the telephony peers are missing\n{done.stderr}")
    return Path(done.stdout.strip())


def inside(folder: Path, *command: str, read: Path | None = None) -> list[str]:
    """The command line that runs `command` in the Debian root.

    Args:
        folder: seen under the same name, and writable.
        command: program and arguments.
        read: another folder to be seen, read-only.
    """
    more = ["--ro-bind", str(read), str(read)] if read else []
    return [
        *("bwrap", "--ro-bind", str(root()), "/"),
        *("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run"),
        *more,
        *("--bind", str(folder), str(folder), "--chdir", str(folder)),
        *("--unshare-pid", "--die-with-parent", "--new-session"),
        *command,
    ]


class Peer:
    """One program in the root: started, looked at, ended by its id."""

    def __init__(
        self, folder: Path, name: str, *, log: str | None = None, goes_first: bool = False
    ) -> None:
        """`log`: a file in `folder` that it logs to besides what it prints; `goes_first`: `priority`."""
        self._before = first() if goes_first else ()
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files = [self.folder / f"{name}.out", *([self.folder / log] if log else [])]
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, *command: str, read: Path | None = None) -> None:
        """Start it; `said` has what it prints."""
        with self._files[0].open("ab") as output:
            self._process = subprocess.Popen(
                [*self._before, *inside(self.folder, *command, read=read)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def end(self, seconds: float = 15.0) -> None:
        """SIGTERM to the program, then, if it does not go, SIGKILL to bwrap and so to all inside."""
        if self._process is None:
            return
        _, *programs = children(self._process.pid)  # the first is the init of its process ids
        for process_id in programs[:1]:
            os.kill(process_id, signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process_ids(self) -> list[int]:
        """All its processes, as the host numbers them; for CPU time."""
        return children(self._process.pid) if self._process is not None else []

    def said(self) -> str:
        """Everything it said."""
        return "".join(file.read_text("utf-8", "replace") for file in self._files if file.exists())

    def wait_said(self, words: str, *, seconds: float = 30.0, unless: str = "\0") -> str:
        """Wait until it has said `words`; returns everything said.

        Raises PeerError if it does not in time, ends, or says `unless`.
        """
        deadline = time.monotonic() + seconds
        while words not in (said := self.said()):
            if unless in said:
                raise PeerError(f"{self.name} said {unless!r}\n{tail(said)}")
            if not self.lives:
                raise PeerError(f"{self.name} ended\n{tail(self.said())}")
            if time.monotonic() > deadline:
                raise PeerError(f"{self.name} did not say {words!r}\n{tail(said)}")
            select.select([], [], [], 0.05)
        return said


def recipe(name: str, changes: Mapping[str, str]) -> dict[str, str]:
    """The files of docs/telephony/NAME, with other addresses.

    Raises PeerError for a change that none of them has: the recipe and its test have come apart.
    """
    folder = PROJECT / "docs" / "telephony" / name
    files = {file.name: file.read_text("utf-8") for file in sorted(folder.iterdir())}
    for old, new in changes.items():
        if not any(old in text for text in files.values()):
            raise PeerError(f"docs/telephony/{name} does not say {old!r}")
        files = {file: text.replace(old, new) for file, text in files.items()}
    return files


def children(process_id: int) -> list[int]:
    """All descendants of a process, parents first."""
    found: list[int] = []
    for tasks in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            direct = [int(word) for word in tasks.read_text().split()]
        except OSError:
            continue
        for child in direct:
            found += [child, *children(child)]
    return found


def tail(text: str, lines: int = 40) -> str:
    """The last lines."""
    return "\n".join(text.splitlines()[-lines:])
