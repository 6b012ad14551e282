"""`um deliver …`: put a recording, a document or a mail into a mailbox, the same way as a call's."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, Name, remember_config
from um.cli.output import progress, say
from um.cli.run import with_services
from um.core.errors import InvalidError

if TYPE_CHECKING:
    from um.app.services import Services
    from um.service.delivery import Delivered

deliver = typer.Typer(
    help="Put a recording, fax, invoice or mail into a mailbox.",
    no_args_is_help=True,
    callback=remember_config,
)
File = Annotated[Path, typer.Argument(metavar="FILE")]
From = Annotated[
    str, typer.Option("--from", metavar="NUMBER", help="Who calls; withheld if left out.")
]
CallerName = Annotated[str, typer.Option("--caller-name")]
LARGEST_OCTETS = 256 * 1024 * 1024


@deliver.command("voice")
def voice(
    name: Name,
    file: File,
    caller: From = "",
    caller_name: CallerName = "",
    config: ConfigOption = None,
) -> None:
    """Deliver any audio file as a voice message."""
    from um.app.by_hand import deliver_voice

    data = read_file(file)

    async def work(services: "Services") -> "Delivered":
        with progress() as display:
            display.add_task("encoding and delivering", total=None)
            return await deliver_voice(services, name, data, caller, caller_name)

    _say_where(name, with_services(config, work))


@deliver.command("fax")
def fax(
    name: Name,
    file: File,
    caller: From = "",
    caller_name: CallerName = "",
    config: ConfigOption = None,
) -> None:
    """Deliver a TIFF or PDF as a fax."""
    from um.app.by_hand import deliver_fax

    data = read_file(file)

    async def work(services: "Services") -> "Delivered":
        with progress() as display:
            display.add_task("rendering and delivering", total=None)
            return await deliver_fax(services, name, data, caller, caller_name)

    _say_where(name, with_services(config, work))


@deliver.command("invoice")
def invoice(name: Name, file: File, config: ConfigOption = None) -> None:
    """Deliver a mail (RFC 5322) as an invoice."""
    from um.app.by_hand import deliver_mail
    from um.core.message import MessageKind

    data = read_file(file)
    _say_where(
        name,
        with_services(
            config, lambda services: deliver_mail(services, name, data, MessageKind.INVOICE)
        ),
    )


@deliver.command("mail")
def mail(name: Name, file: File, config: ConfigOption = None) -> None:
    """Deliver a mail (RFC 5322)."""
    from um.app.by_hand import deliver_mail
    from um.core.message import MessageKind

    data = read_file(file)
    _say_where(
        name,
        with_services(
            config, lambda services: deliver_mail(services, name, data, MessageKind.MAIL)
        ),
    )


def read_file(file: Path) -> bytes:
    """The file's octets; `-` is standard input. Raises InvalidError with the reason."""
    import sys

    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
            data = source.read(LARGEST_OCTETS + 1)
    except OSError as error:
        raise InvalidError(f"{file}: {error.strerror}") from error
    if len(data) > LARGEST_OCTETS:
        raise InvalidError(f"{file}: is larger than {LARGEST_OCTETS // 1024**2} MiB")
    return data


def _say_where(name: str, delivered: "Delivered") -> None:
    if delivered.duplicate:
        say(f"{name} has this message already: UID {delivered.uid}")
    else:
        say(f"Delivered to {name}: UID {delivered.uid}")
