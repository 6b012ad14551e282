"""`um account …`: add, look at and change accounts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from um.cli.numbers import parse_number_and_use, shown_number
from um.cli.options import ConfigOption, JsonOption, Name, remember_config
from um.cli.output import octets, print_facts, print_json, print_table, say, text
from um.cli.run import invoker, with_services
from um.cli.secrets import read_secrets

if TYPE_CHECKING:
    from um.service.accounts import AccountOverview

accounts = typer.Typer(
    help="Add, show and change accounts.", no_args_is_help=True, callback=remember_config
)
Reason = Annotated[str, typer.Option("--reason", help="Shown to the customer and kept.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]


@accounts.command("add")
def add(
    name: Name,
    number: Annotated[
        list[str] | None,
        typer.Option("--number", metavar="NUMBER[:voice|fax|both]", help="May be repeated."),
    ] = None,
    full_name: Annotated[str, typer.Option("--full-name")] = "",
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA name.")] = None,
    language: Annotated[str | None, typer.Option("--language")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    pin_stdin: Annotated[
        bool, typer.Option("--pin-stdin", help="Read the PIN, on the line after the password.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add an account with its mailbox and numbers."""
    from um.service.accounts import NewAccount

    new = NewAccount(
        name=name,
        numbers=[parse_number_and_use(each) for each in number or ()],
        full_name=full_name,
        timezone=timezone,
        language=language,
    )
    password, pin = read_secrets(password=password_stdin, pin=pin_stdin)
    account = with_services(
        config,
        lambda services: services.accounts.add(new, password=password, pin=pin, actor=invoker()),
    )
    say(f"Added {account.name}@{account.domain}")


@accounts.command("show")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show state, numbers, octets used and limit, counts by kind and purge date."""
    overview = with_services(config, lambda services: services.accounts.show(name))
    if json:
        print_json(as_json(overview))
        return
    account, usage = overview.account, overview.usage
    print_facts(
        [
            ("name", f"{account.name}@{account.domain}"),
            ("id", account.id),
            ("full name", account.full_name),
            ("state", account.state),
            ("reason", account.state_reason),
            ("numbers", ", ".join(map(shown_number, overview.numbers)) or "none"),
            ("used", f"{octets(usage.used_octets)} ({usage.used_octets} octets)"),
            ("reserved", octets(usage.reserved_octets) if usage.reserved_octets else None),
            ("limit", f"{octets(usage.limit_octets)} ({usage.limit_octets} octets)"),
            ("messages", _counts(overview)),
            ("voicemail", "on" if account.voicemail_enabled else "off"),
            ("rings", "default" if account.ring_seconds is None else f"{account.ring_seconds} s"),
            ("password", "set" if account.password_hash else "not set"),
            ("pin", "set" if account.pin_hash else "not set"),
            ("time zone", account.timezone),
            ("language", account.language),
            ("added", account.created_at),
            ("suspended", account.suspended_at),
            ("closed", account.closed_at),
            ("purge from", account.purge_at),
            ("legal hold", account.legal_hold_at),
            ("held because", account.legal_hold_reason),
        ]
    )


@accounts.command("list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List all accounts."""
    overviews = with_services(config, lambda services: services.accounts.every())
    if json:
        print_json([as_json(overview) for overview in overviews])
        return
    print_table(
        ("name", "state", "numbers", "used", "limit", "messages", "purge from"),
        [
            (
                overview.account.name,
                overview.account.state,
                ", ".join(map(shown_number, overview.numbers)),
                octets(overview.usage.used_octets),
                octets(overview.usage.limit_octets),
                sum(overview.counts.values()),
                overview.account.purge_at,
            )
            for overview in overviews
        ],
        empty="There are no accounts.",
    )


@accounts.command("suspend")
def suspend(name: Name, reason: Reason = "", config: ConfigOption = None) -> None:
    """Make an account read only; new calls are refused."""
    with_services(
        config, lambda services: services.accounts.suspend(name, reason=reason, actor=invoker())
    )
    say(f"Suspended {name}")


@accounts.command("resume")
def resume(name: Name, reason: Why = "", config: ConfigOption = None) -> None:
    """End a suspension."""
    with_services(
        config, lambda services: services.accounts.resume(name, reason=reason, actor=invoker())
    )
    say(f"Resumed {name}")


@accounts.command("close")
def close(name: Name, reason: Reason = "", config: ConfigOption = None) -> None:
    """End the service; everything is kept until the purge date."""
    account = with_services(
        config, lambda services: services.accounts.close(name, reason=reason, actor=invoker())
    )
    say(f"Closed {name}; purge not before {text(account.purge_at)}")


@accounts.command("reopen")
def reopen(name: Name, reason: Why = "", config: ConfigOption = None) -> None:
    """Undo a closure, with everything in place."""
    with_services(
        config, lambda services: services.accounts.reopen(name, reason=reason, actor=invoker())
    )
    say(f"Reopened {name}")


@accounts.command("audit")
def audit(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show who did what to an account, when and why."""
    records = with_services(config, lambda services: services.records.audit(name))
    if json:
        print_json(
            [
                {
                    "at": record.at.isoformat(),
                    "actor": record.actor,
                    "action": record.action,
                    "detail": record.detail,
                }
                for record in records
            ]
        )
        return
    print_table(
        ("when", "who", "what", "detail"),
        [(record.at, record.actor, record.action, record.detail) for record in records],
        empty="Nothing was done.",
    )


@accounts.command("password")
def password(
    name: Name,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read it from standard input.")
    ] = False,
    end_app_passwords: Annotated[
        bool, typer.Option("--end-app-passwords", help="Those of mail programs end, too.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Set the password for IMAP and the portal."""
    if not password_stdin:
        raise typer.BadParameter(
            "is needed: a password is never an argument", param_hint="--password-stdin"
        )
    new, _ = read_secrets(password=True, pin=False)
    assert new is not None
    with_services(
        config,
        lambda services: services.accounts.set_password(
            name, new, actor=invoker(), end_app_passwords=end_app_passwords
        ),
    )
    say(f"Set the password of {name}")


@accounts.command("voicemail")
def voicemail(
    name: Name,
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    config: ConfigOption = None,
) -> None:
    """Switch voicemail on or off; kept messages stay."""
    if switch not in ("on", "off"):
        raise typer.BadParameter("must be on or off", param_hint="on|off")
    on = switch == "on"
    with_services(
        config, lambda services: services.accounts.set_voicemail(name, on=on, actor=invoker())
    )
    say(f"Voicemail of {name} is {switch}")


@accounts.command("ring")
def ring(
    name: Name,
    seconds: Annotated[str, typer.Argument(metavar="SECONDS|default")],
    config: ConfigOption = None,
) -> None:
    """Set how long calls ring before voicemail answers; the telephony core asks for it."""
    if seconds != "default" and not (seconds.isascii() and seconds.isdigit() and len(seconds) < 6):
        raise typer.BadParameter(
            "must be a number of seconds or default", param_hint="SECONDS|default"
        )
    chosen = None if seconds == "default" else int(seconds)
    with_services(
        config, lambda services: services.accounts.set_ring_seconds(name, chosen, actor=invoker())
    )
    say(
        f"Calls to {name} ring {'as long as the default says' if chosen is None else f'{chosen} s'}"
    )


def as_json(overview: "AccountOverview") -> dict[str, Any]:
    """What `show --json` and `list --json` print of one account; no secret, no hash."""
    account, usage = overview.account, overview.usage
    return {
        "name": account.name,
        "id": account.id,
        "domain": account.domain,
        "full_name": account.full_name,
        "state": account.state.value,
        "reason": account.state_reason,
        "timezone": account.timezone,
        "language": account.language,
        "voicemail": account.voicemail_enabled,
        "ring_seconds": account.ring_seconds,
        "password_set": account.password_hash is not None,
        "pin_set": account.pin_hash is not None,
        "numbers": [
            {"number": number.e164, "use": number.use.value, "state": number.state.value}
            for number in overview.numbers
        ],
        "used_octets": usage.used_octets,
        "reserved_octets": usage.reserved_octets,
        "limit_octets": usage.limit_octets,
        "counts": {kind.value: count for kind, count in sorted(overview.counts.items())},
        "created_at": _iso(account.created_at),
        "suspended_at": _iso(account.suspended_at),
        "closed_at": _iso(account.closed_at),
        "purge_at": _iso(account.purge_at),
        "legal_hold_at": _iso(account.legal_hold_at),
        "legal_hold_reason": account.legal_hold_reason,
    }


def _counts(overview: "AccountOverview") -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(overview.counts.items())) or "none"


def _iso(instant: Any) -> str | None:
    return instant.isoformat() if instant is not None else None
