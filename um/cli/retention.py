"""`um retention`, `um account retention` and `um account hold`: what goes by its age, what must not."""

from typing import TYPE_CHECKING, Annotated

import typer

from um.cli.options import ConfigOption, JsonOption, Name
from um.cli.output import octets, print_json, print_table, say
from um.cli.run import invoker, with_services
from um.core.errors import InvalidError
from um.core.message import MessageKind

if TYPE_CHECKING:
    from datetime import datetime

    from um.app.services import Services
    from um.policy.retention import StandingRule
    from um.service.retention import Expiry

AS_THE_OPERATOR = "default"
Why = Annotated[str, typer.Option("--reason", help="Kept in the audit log.")]


def retention(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One account.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All accounts.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only tell what would go. A rule rests until a day after this."
        ),
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Carry out the retention rules, as the server does each night."""
    if (name is None) != every:
        raise typer.BadParameter("one of them is needed, not both", param_hint="NAME, --all")

    async def work(services: "Services") -> "tuple[list[Expiry], datetime]":
        rules = services.retention
        found = await (rules.dry_run(name) if dry_run else rules.run(name))
        return found, services.ports.clock.now()

    found, now = with_services(config, work)
    if json:
        print_json([_as_json(each, now) for each in found])
        return
    print_table(
        ("account", "rule", "messages", "octets", "in force"),
        [
            (
                each.account.name,
                each.standing.rule,
                each.messages,
                octets(each.octets),
                _force(each.standing, now),
            )
            for each in found
        ],
        empty="Nothing would go." if dry_run else "Nothing went.",
    )


def account_retention(
    name: Name,
    word: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RULE|KIND keep|KIND default]...",
            help="In quotes: 'voice older than 60 days and heard -> Trash', 'fax keep'.",
        ),
    ] = None,
    reason: Why = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Choose what goes by its age; without a rule show those that hold."""
    chosen = [_parsed(each) for each in word or ()]

    async def work(services: "Services") -> "tuple[list[StandingRule], datetime]":
        for kind, rule in chosen:
            await services.retention.choose(name, kind, rule, reason=reason, actor=invoker())
        return await services.retention.rules(name), services.ports.clock.now()

    rules, now = with_services(config, work)
    if json:
        print_json([_rule_as_json(each, now) for each in rules])
        return
    print_table(
        ("rule", "of", "in force"),
        [(each.rule, "account" if each.own else "operator", _force(each, now)) for each in rules],
        empty="Nothing goes by its age.",
    )


def hold(
    name: Name,
    switch: Annotated[str, typer.Argument(metavar="on|off")],
    reason: Why = "",
    config: ConfigOption = None,
) -> None:
    """Keep everything of an account from being deleted (legal hold), or end that."""
    if switch not in ("on", "off"):
        raise typer.BadParameter("must be on or off", param_hint="on|off")
    on = switch == "on"
    with_services(
        config,
        lambda services: services.accounts.set_legal_hold(
            name, on=on, reason=reason, actor=invoker()
        ),
    )
    say(f"Legal hold of {name} is {switch}")


def _parsed(text: str) -> tuple[MessageKind, str | None]:
    """Which kind a word is about, and what is said: a rule, `keep`, or None for the default."""
    from um.core.retention import parse_rule
    from um.policy.retention import KEEP

    kind, _, word = " ".join(text.split()).partition(" ")
    if word not in (KEEP, AS_THE_OPERATOR):
        rule = parse_rule(text)
        return rule.kind, str(rule)
    try:
        return MessageKind(kind), KEEP if word == KEEP else None
    except ValueError:
        raise InvalidError(f"{kind}: the kind is voice, fax, invoice or mail") from None


def _force(standing: "StandingRule", now: "datetime") -> str:
    if standing.shown_at is None:
        return "after a dry run"
    return "yes" if standing.in_force(now) else "a day after its dry run"


def _as_json(each: "Expiry", now: "datetime") -> dict[str, object]:
    return {
        "account": each.account.name,
        "messages": each.messages,
        "octets": each.octets,
        **_rule_as_json(each.standing, now),
    }


def _rule_as_json(standing: "StandingRule", now: "datetime") -> dict[str, object]:
    return {
        "rule": str(standing.rule),
        "kind": standing.rule.kind.value,
        "older_than_days": standing.rule.older_than_days,
        "heard_only": standing.rule.heard_only,
        "action": standing.rule.action.value,
        "own": standing.own,
        "shown_at": standing.shown_at and standing.shown_at.isoformat(),
        "in_force": standing.in_force(now),
    }
