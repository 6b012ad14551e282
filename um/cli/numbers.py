"""`um number …`: give numbers to accounts and take them away."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, Name, remember_config
from um.cli.output import print_json, print_table, say, text
from um.cli.run import invoker, with_services
from um.core.account import Number, NumberState, NumberUse
from um.core.errors import InvalidError

if TYPE_CHECKING:
    from um.app.services import Services

numbers = typer.Typer(
    help="Give numbers to accounts and take them away.",
    no_args_is_help=True,
    callback=remember_config,
)
Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER[:voice|fax|both]...")]
Plain = Annotated[str, typer.Argument(metavar="NUMBER")]


@numbers.command("add")
def add(name: Name, number: Numbers, config: ConfigOption = None) -> None:
    """Give numbers to an account."""
    wanted = [parse_number_and_use(each) for each in number]

    async def work(services: "Services") -> list[Number]:
        return [
            await services.numbers.add(name, each, use=use, actor=invoker()) for each, use in wanted
        ]

    for added in with_services(config, work):
        say(f"Added {shown_number(added)} to {name}")


@numbers.command("remove")
def remove(
    name: Name,
    number: Annotated[list[str], typer.Argument(metavar="NUMBER...")],
    config: ConfigOption = None,
) -> None:
    """Take numbers away; they are held from other accounts for a while."""

    async def work(services: "Services") -> list[Number]:
        return [await services.numbers.remove(name, each, actor=invoker()) for each in number]

    for removed in with_services(config, work):
        say(f"Removed {removed.e164} from {name}; held until {text(removed.hold_until)}")


@numbers.command("list")
def list_(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """List the numbers of an account."""
    found = with_services(config, lambda services: services.numbers.every(name))
    if json:
        keys = [{"number": n.e164, "use": n.use.value, "state": n.state.value} for n in found]
        print_json(keys)
        return
    print_table(
        ("number", "use", "state"),
        [(n.e164, n.use, n.state) for n in found],
        empty=f"{name} has no numbers.",
    )


@numbers.command("free")
def free(number: Plain, config: ConfigOption = None) -> None:
    """End the hold of a number that was ported out."""
    with_services(config, lambda services: services.numbers.free(number, actor=invoker()))
    say(f"Freed {number}")


@numbers.command("alias")
def alias(
    name: Name,
    number: Plain,
    extension: Annotated[str, typer.Argument(metavar="EXTENSION")],
    config: ConfigOption = None,
) -> None:
    """Let a telephony core name the number by a short extension."""
    with_services(
        config,
        lambda services: services.numbers.add_alias(name, number, extension, actor=invoker()),
    )
    say(f"{extension} names {number}")


def parse_number_and_use(given: str) -> tuple[str, NumberUse]:
    """`+15551230001:fax` in its two parts; both uses if none is said. Raises InvalidError."""
    number, colon, use = given.partition(":")
    try:
        return number, NumberUse(use) if colon else NumberUse.BOTH
    except ValueError:
        raise InvalidError(f"{given}: the use is voice, fax or both") from None


def shown_number(number: Number) -> str:
    """`+15551230001 (fax)`, with its state unless it serves."""
    state = "" if number.state is NumberState.ACTIVE else f", {number.state}"
    return f"{number.e164} ({number.use}{state})"
