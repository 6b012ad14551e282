"""A server's fax child, as the operating system knows it."""

from pathlib import Path

from tests.support.server import Server


def child_of(server: Server) -> int | None:
    """The process id of the fax child; None while there is none."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == server.pid and b"fax.receiver" in command:
            return int(status.parent.name)
    return None
