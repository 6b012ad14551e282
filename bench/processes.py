"""What a server's processes take: CPU time and memory of one process and all below it."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _tasks(pid: int) -> list[Path]:
    """The threads of a process; none if it has ended meanwhile."""
    try:
        return list(Path(f"/proc/{pid}/task").glob("*"))
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for task in _tasks(pid):
        try:
            children = (task / "children").read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, of children that ended too."""
    return sum(_ticks(each) for each in tree(pid)) / TICKS


def pss_octets(pid: int) -> int:
    """Memory of the tree, what is shared counted once (proportional set size)."""
    return sum(_kilobytes(each, "smaps_rollup", "Pss:") for each in tree(pid)) * 1024


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _kilobytes(pid: int, name: str, key: str) -> int:
    try:
        text = Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(key))
