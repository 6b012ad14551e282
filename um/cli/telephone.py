"""`um account pin` and `um account phone`: what an account has chosen for its telephone menu."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, Name
from um.cli.output import print_facts, print_json, say
from um.cli.run import invoker, with_services
from um.cli.secrets import read_secrets

if TYPE_CHECKING:
    from um.app.services import Services


def pin(
    name: Name,
    pin_stdin: Annotated[
        bool, typer.Option("--pin-stdin", help="Read it from standard input.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove it: the next call from the own line sets one.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Set or remove the PIN of the telephone menu; either lifts a lock."""
    if pin_stdin == clear:
        raise typer.BadParameter(
            "one of them is needed: a PIN is never an argument", param_hint="--pin-stdin, --clear"
        )
    if clear:
        with_services(config, lambda services: services.accounts.clear_pin(name, actor=invoker()))
        say(f"Removed the PIN of {name}")
        return
    _, new = read_secrets(password=False, pin=True)
    assert new is not None
    with_services(config, lambda services: services.accounts.set_pin(name, new, actor=invoker()))
    say(f"Set the PIN of {name}")


def phone(
    name: Name,
    review: Annotated[
        bool | None,
        typer.Option("--review/--no-review", help="Callers may hear and replace what they said."),
    ] = None,
    urgent: Annotated[
        bool | None,
        typer.Option("--urgent/--no-urgent", help="Callers may mark a message as urgent."),
    ] = None,
    skip_pin: Annotated[
        bool | None,
        typer.Option("--skip-pin/--ask-pin", help="The own line opens without the PIN."),
    ] = None,
    star_login: Annotated[
        bool | None,
        typer.Option("--star-login/--no-star-login", help="* in the greeting asks for the PIN."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Choose what callers and the owner may do by phone; without options show it."""
    from voicemail import preferences

    given = {
        preferences.REVIEW: review,
        preferences.URGENT: urgent,
        preferences.SKIP_PIN: skip_pin,
        preferences.STAR_LOGIN: star_login,
    }
    values = {key: "yes" if on else "no" for key, on in given.items() if on is not None}

    async def work(services: "Services") -> dict[str, str]:
        if values:
            await services.accounts.set_preferences(name, values, actor=invoker())
        return await services.accounts.preferences(name)

    chosen = with_services(config, work)
    shown = {key: preferences.is_on(chosen, key) for key in given}
    if json:
        print_json(shown)
    else:
        print_facts([(key, "yes" if on else "no") for key, on in shown.items()])
