"""The tree of commands."""

import sys
from typing import Annotated

import typer

from um.cli.accounts import accounts
from um.cli.deliver import deliver
from um.cli.forwarding import forward
from um.cli.maintenance import check_config, fsck, migrate, purge
from um.cli.numbers import numbers
from um.cli.options import ConfigOption
from um.cli.retention import account_retention, hold, retention
from um.cli.run import guarded
from um.cli.serve import serve
from um.cli.telephone import phone, pin
from um.cli.tokens import tokens
from um.cli.views import account_views

app = typer.Typer(
    name="um",
    help="Unified messaging: voicemail, faxes and invoices in one IMAP mailbox.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve)
app.command("check-config")(check_config)
app.add_typer(accounts, name="account")
accounts.command("pin")(pin)
accounts.command("phone")(phone)
accounts.command("retention")(account_retention)
accounts.command("views")(account_views)
accounts.command("hold")(hold)
app.add_typer(numbers, name="number")
app.add_typer(deliver, name="deliver")
app.add_typer(tokens, name="token")
app.add_typer(forward, name="forward")
app.command("purge")(purge)
app.command("retention")(retention)
app.command("fsck")(fsck)
app.command("migrate")(migrate)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"um {version('um')}")
        raise typer.Exit


@app.callback()
def root(
    config: ConfigOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before the subcommand; the options' own callbacks act on it."""


def run_from_arguments() -> None:
    """Run the command that `sys.argv` names, and exit."""
    # Not "standalone": then Typer would print usage errors itself, in a frame of several lines.
    guarded(lambda: app(args=sys.argv[1:], prog_name="um", standalone_mode=False))
