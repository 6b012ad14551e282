"""Options that many commands share, and where the configuration file is."""

import os
from pathlib import Path
from typing import Annotated

import typer

VARIABLE = "UM_CONFIG"
DEFAULT = Path("um.toml")


def _nearest(context: typer.Context, given: Path | None) -> Path:
    """The --config next to the command wins over one before it, then comes the environment."""
    context.obj = given or context.obj or Path(os.environ.get(VARIABLE) or DEFAULT)
    nearest: Path = context.obj
    return nearest


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration file; else $UM_CONFIG, else ./um.toml.",
        show_default=False,
        callback=_nearest,
    ),
]
"""Always a path when a command runs, whether or not it was given."""
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]


def remember_config(config: ConfigOption = None) -> None:
    """Let --config stand before the subcommand too: its option has kept it in the context."""
