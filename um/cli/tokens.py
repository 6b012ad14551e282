"""`um token …`: bearer tokens for the operator's systems."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, remember_config
from um.cli.output import print_json, print_table, say, text
from um.cli.run import invoker, with_services
from um.core.credentials import Scope

if TYPE_CHECKING:
    from um.app.services import Services

tokens = typer.Typer(
    help="Make tokens for the API and take them back.",
    no_args_is_help=True,
    callback=remember_config,
)
TokenName = Annotated[str, typer.Argument(metavar="TOKEN")]


@tokens.command("add")
def add(
    token: TokenName,
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; repeat it.")],
    days: Annotated[
        int | None, typer.Option(help="How long it is valid; without end if left out.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a token and print it: it is not shown again."""

    async def work(services: "Services") -> str:
        return await services.tokens.add(token, frozenset(scope), valid_days=days, actor=invoker())

    say(with_services(config, work))


@tokens.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the tokens, without what they open with."""
    found = with_services(config, lambda services: services.tokens.every())
    if json:
        print_json(
            [
                {
                    "name": each.name,
                    "scopes": sorted(each.scopes),
                    "created_at": each.created_at.isoformat(),
                    "expires_at": each.expires_at and each.expires_at.isoformat(),
                }
                for each in found
            ]
        )
        return
    print_table(
        ("token", "scopes", "made", "expires"),
        [
            (each.name, " ".join(sorted(each.scopes)), text(each.created_at), text(each.expires_at))
            for each in found
        ],
        empty="There are no tokens.",
    )


@tokens.command("remove")
def remove(token: TokenName, config: ConfigOption = None) -> None:
    """Take a token back."""
    with_services(config, lambda services: services.tokens.remove(token, actor=invoker()))
    say(f"Removed {token}")
