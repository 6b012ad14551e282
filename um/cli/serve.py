"""`um serve`: run the server in the foreground."""

from pathlib import Path
from typing import Annotated

import typer

from um.cli.options import ConfigOption
from um.cli.run import read_config


def serve(
    config: ConfigOption = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            "--ready-file",
            metavar="FILE",
            help="Write the addresses there, as JSON, when everything listens.",
        ),
    ] = None,
    log_level: Annotated[
        str,
        typer.Option("--log-level", metavar="debug|info|warning|error", envvar="UM_LOG_LEVEL"),
    ] = "info",
) -> None:
    """Run the server until SIGTERM; calls in progress are drained first."""
    if log_level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter("must be debug, info, warning or error", param_hint="--log-level")
    settings = read_config(config)
    from um.app.serve import run

    run(settings, ready_file=ready_file, log_level=log_level)
