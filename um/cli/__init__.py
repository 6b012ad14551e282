"""The command line: `um`, a thin skin over the services.

Only `um.cli.main` is imported at start; what a command needs it imports when it runs, so that
`um --help` is quick.
"""


def main() -> None:
    """The entry point: run the command of `sys.argv` and exit."""
    from um.cli.main import run_from_arguments

    run_from_arguments()
