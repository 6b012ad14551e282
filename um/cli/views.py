"""`um account views`: into which folders an account's new messages are put."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, Name
from um.cli.output import print_facts, print_json
from um.cli.run import invoker, with_services
from um.core.message import MessageKind

if TYPE_CHECKING:
    from um.app.services import Services

Where = Annotated[
    str | None,
    typer.Option(metavar="own|inbox|FOLDER", help="A folder of its own, INBOX, or a folder."),
]


def account_views(
    name: Name,
    voice: Where = None,
    fax: Where = None,
    invoice: Where = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Choose the folders of new messages by kind; those that are there stay. Without options show it."""
    given = {MessageKind.VOICE: voice, MessageKind.FAX: fax, MessageKind.INVOICE: invoice}

    async def work(services: "Services") -> dict[MessageKind, str]:
        for kind, where in given.items():
            if where is not None:
                folder = None if where == "own" else where
                await services.views.choose(name, kind, folder, actor=invoker())
        return await services.views.chosen(name)

    chosen = with_services(config, work)
    if json:
        print_json({kind.value: folder for kind, folder in chosen.items()})
    else:
        print_facts([(kind.value, folder) for kind, folder in chosen.items()])
