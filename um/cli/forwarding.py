"""`um forward …`: what leaves the house for an account, and the queue of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, Name, remember_config
from um.cli.output import print_facts, print_json, print_table, say
from um.cli.run import invoker, with_services
from um.core.forwarding import AfterCopy, CopyMode, CopyRule, ForwardAddress, OutboxEntry
from um.core.message import MessageKind

if TYPE_CHECKING:
    from um.app.services import Services
    from um.core.ids import AccountId
    from um.service.forward.rules import Webhook

forward = typer.Typer(
    help="Copies of messages to confirmed addresses outside, webhooks, and the queue of both.",
    no_args_is_help=True,
    callback=remember_config,
)
addresses = typer.Typer(help="Addresses outside.", no_args_is_help=True, callback=remember_config)
forward.add_typer(addresses, name="address")
Address = Annotated[str, typer.Argument(metavar="ADDRESS")]
Kind = Annotated[MessageKind, typer.Argument(metavar="voice|fax|invoice")]
Mode = Annotated[CopyMode, typer.Argument(metavar="off|notify|link|attach")]
After = Annotated[
    AfterCopy, typer.Option(help="What becomes of the message once the relay has taken its copies.")
]


@forward.command("show")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show an account's addresses, rules and webhook."""

    async def work(
        services: "Services",
    ) -> "tuple[list[ForwardAddress], dict[MessageKind, CopyRule], Webhook | None]":
        account_id = await _id_of(services, name)
        desk = services.forward
        return (
            await desk.book.every(account_id),
            await desk.rules.every(account_id),
            await desk.rules.webhook(account_id),
        )

    found, rules, webhook = with_services(config, work)
    if json:
        print_json(
            {
                "addresses": [_address_facts(each) for each in found],
                "rules": {kind: {"mode": r.mode, "after": r.after} for kind, r in rules.items()},
                "webhook": webhook.url if webhook else None,
            }
        )
        return
    print_facts(
        [(kind, f"{rule.mode}, then {rule.after}") for kind, rule in rules.items()]
        + [("webhook", webhook.url if webhook else "off")]
    )
    columns = ("address", "state", "confirmed", "bounces")
    rows = [(each.address, each.state, each.confirmed_at, each.bounces) for each in found]
    print_table(columns, rows, empty=f"{name} has no addresses outside.")


@addresses.command("add")
def add(name: Name, address: Address, config: ConfigOption = None) -> None:
    """Add an address: a mail with a link goes there, and nothing else before it is followed."""

    async def work(services: "Services") -> ForwardAddress:
        return await services.forward.book.add(
            await _id_of(services, name), address, actor=invoker()
        )

    added = with_services(config, work)
    say(f"A mail with a link will go to {added.address}; it opens until {added.token_expires_at}")


@addresses.command("remove")
def remove(name: Name, address: Address, config: ConfigOption = None) -> None:
    """Remove an address, with what waits for it."""

    async def work(services: "Services") -> ForwardAddress:
        return await services.forward.book.remove(
            await _id_of(services, name), address, actor=invoker()
        )

    removed = with_services(config, work)
    say(f"Removed {removed.address} from {name}")


@forward.command("rule")
def rule(
    name: Name,
    kind: Kind,
    mode: Mode,
    after: After = AfterCopy.KEEP,
    config: ConfigOption = None,
) -> None:
    """Set what of a kind of message goes to the account's confirmed addresses."""
    wanted = CopyRule(mode, after)

    async def work(services: "Services") -> None:
        await services.forward.rules.set(
            await _id_of(services, name), kind, wanted, actor=invoker()
        )

    with_services(config, work)
    say(f"{name}: {kind} {mode}, then {after}")


@forward.command("webhook")
def webhook(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL|off|show")],
    config: ConfigOption = None,
) -> None:
    """Post an account's events to a URL (https, or http to loopback); tells the signing secret."""

    async def work(services: "Services") -> "Webhook | None":
        account_id = await _id_of(services, name)
        if url == "show":
            return await services.forward.rules.webhook(account_id)
        wanted = None if url == "off" else url
        return await services.forward.rules.set_webhook(account_id, wanted, actor=invoker())

    found = with_services(config, work)
    if found is None:
        say(f"{name} has no webhook")
        return
    print_facts([("url", found.url), ("secret", found.secret)])


@forward.command("queue")
def queue(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what waits to leave, the next to be tried first."""
    found = with_services(config, lambda services: services.forward.queue.waiting())
    if json:
        print_json([_row_facts(row, name) for row, name in found])
        return
    print_table(
        ("account", "what", "target", "next try", "attempts", "last answer"),
        [(n, r.purpose, r.target, r.next_try, r.attempts, r.last_error) for r, n in found],
        empty="Nothing waits.",
    )


@forward.command("failures")
def failures(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what did not arrive in the last 14 days, webhooks among it, the last first."""
    found = with_services(config, lambda services: services.forward.queue.failed())
    if json:
        print_json([_row_facts(row, name) | _end_facts(row) for row, name in found])
        return
    print_table(
        ("account", "what", "target", "ended", "as", "attempts", "last answer"),
        [
            (n, r.purpose, r.target, r.finished_at, r.state, r.attempts, r.last_error)
            for r, n in found
        ],
        empty="Everything arrived.",
    )


@forward.command("retry")
def retry(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None,
    config: ConfigOption = None,
) -> None:
    """Let what waits (of one account) be tried at once by the server that runs."""

    async def work(services: "Services") -> int:
        account_id = await _id_of(services, name) if name else None
        return await services.forward.queue.hurry(account_id)

    say(f"{with_services(config, work)} will be tried at once")


async def _id_of(services: "Services", name: str) -> "AccountId":
    return (await services.accounts.show(name)).account.id


def _address_facts(address: ForwardAddress) -> dict[str, object]:
    return {
        "address": address.address,
        "state": address.state,
        "confirmed_at": address.confirmed_at,
        "bounces": address.bounces,
    }


def _row_facts(row: OutboxEntry, name: str) -> dict[str, object]:
    return {
        "id": row.id,
        "account": name,
        "purpose": row.purpose,
        "target": row.target,
        "mode": row.mode,
        "created_at": row.created_at,
        "next_try": row.next_try,
        "attempts": row.attempts,
        "last_error": row.last_error,
    }


def _end_facts(row: OutboxEntry) -> dict[str, object]:
    return {"state": row.state, "finished_at": row.finished_at}
