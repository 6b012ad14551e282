"""Tables of measurements: printed, and with --write put into docs/benchmarks.md.

One section a script, with the date and the machine, so that a figure is never without its place.
"""

import datetime as dt
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = next(
        line.partition("=")[2].strip('"')
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("PRETTY_NAME")
    )
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {system}, Python {platform.python_version()}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def report(
    title: str,
    *,
    command: str,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    notes: str = "",
) -> None:
    """Print the section `title`; with --write on the command line replace it in the page."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    section = f"## {title}\n\n{today}, {machine()}. Command: `{command}`.\n\n{table(head, rows)}\n"
    if notes:
        section += f"\n{notes.strip()}\n"
    print(section)
    if "--write" not in sys.argv:
        return
    page = PAGE.read_text() if PAGE.exists() else "# Benchmarks\n"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if pattern.search(page):
        page = pattern.sub(lambda _: section + "\n", page)
    else:
        page = page.rstrip("\n") + "\n\n" + section
    PAGE.write_text(page.rstrip("\n") + "\n")


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
