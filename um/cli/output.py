"""What is printed: tables and JSON to stdout, progress and errors to stderr.

Values from outside (names, reasons) are escaped: they can neither drive the terminal nor Rich.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

MIB = 1024 * 1024


def print_json(value: Any) -> None:
    """One JSON document; instants in ISO 8601."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table, or the sentence `empty`. On a pipe one row is one line."""
    shown = [[text(cell) for cell in row] for row in rows]
    if not shown:
        print(empty)
        return
    if not sys.stdout.isatty():
        _print_columns([list(columns), *shown])
        return
    table = Table(*columns, box=_box(), pad_edge=False)
    for row in shown:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    """One row a line, whatever its width: for `grep` and `awk`."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Name and value, one a line; facts without a value are left out."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        if value not in (None, ""):
            print(f"{name:<{width}}  {text(value)}")


def say(sentence: str) -> None:
    """Tell what was done."""
    print(text(sentence))


def complain(sentence: str) -> None:
    """One error, on stderr."""
    for line in sentence.splitlines() or [""]:
        print(f"um: {escaped(line)}", file=sys.stderr)


def progress() -> Progress:
    """A progress display on stderr, drawn only on a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def text(value: object) -> str:
    """`value` as people read it, on one line, without control characters."""
    if value is None:
        return "-"
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="seconds"))
    return escaped(str(value))


def octets(value: int) -> str:
    """`1.5 MiB` with enough digits to be told apart."""
    return f"{value / MIB:.1f} MiB" if value >= MIB else f"{value / 1024:.1f} KiB"


def escaped(value: str) -> str:
    """`value` without control characters (`um.logs.escaped`, loaded when something is printed)."""
    from um.logs import escaped as without_controls

    return without_controls(value)


def _box() -> Any:
    from rich import box

    return box.SIMPLE_HEAD
