"""`um check-config`, `um purge`, `um fsck`, `um migrate`."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from um.cli.options import ConfigOption, JsonOption
from um.cli.output import complain, octets, print_json, print_table, progress, say
from um.cli.run import quiet_logs, read_config, with_services
from um.core.errors import InvalidError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from um.app.services import Services
    from um.core.account import Account, PurgeRecord
    from um.service.purge import PurgeProgress, PurgeReport


def check_config(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check the configuration file; name each key that does nothing yet and programs not installed."""
    from um.app.keys import key_map
    from um.app.programs import missing_programs
    from um.config import inactive_keys

    settings = read_config(config)
    key_map(settings)
    inactive, missing = inactive_keys(settings), missing_programs(settings)
    if json:
        print_json({"valid": True, "inactive": inactive, "missing": missing})
        return
    say(f"{config}: valid")
    for key, reason in inactive.items():
        say(f"{key}: does nothing yet: {reason}")
    for key, reason in missing.items():
        say(f"{key}: {reason}")


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what is due.")] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="ISO8601",
            help="Go by this time, and say by that that the clock is right. "
            "Without an offset it is in the time zone of [server].",
        ),
    ] = None,
    records: Annotated[
        bool, typer.Option("--records", help="Only show the record of every purge there was.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove everything of closed accounts whose time has come."""
    settings = read_config(config)
    if records:
        every = with_services(config, lambda services: services.records.purges())
        _print_purge(every, empty="Nothing was ever purged.", json=json)
        return
    instant = parse_instant(at, settings.server.timezone) if at is not None else None

    async def work(services: "Services") -> "tuple[PurgeReport, list[Account]]":
        with progress() as display:
            task = display.add_task("purging", total=None)

            def show(now: "PurgeProgress") -> None:
                what = f"{now.account_name} {now.step}".strip()
                display.update(task, description=what, completed=now.done, total=now.total)

            report = await services.purge.run(dry_run=dry_run, at=instant, progress=show)
        done = {record.account_id for record in report.records}
        due = await services.purge.due(services.ports.clock.now()) if report.held else []
        return report, [account for account in due if account.id not in done]

    report, held = with_services(config, work)
    _print_purge(
        report.records, empty="Nothing is due." if dry_run else "Nothing was due.", json=json
    )
    if report.on_legal_hold:
        kept = ", ".join(account.name for account in report.on_legal_hold)
        complain(f"kept under a legal hold: {kept} (um account hold NAME off ends it)")
    if held:
        last = report.trusted_at.isoformat() if report.trusted_at else "never"
        names = ", ".join(account.name for account in held)
        complain(
            f"held back: {names}: the clock was last trusted {last}; if {_now()} is the right time, "
            f"say so: um purge --at {_now()}"
        )
        raise typer.Exit(1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _print_purge(records: "Sequence[PurgeRecord]", *, empty: str, json: bool) -> None:
    if json:
        print_json(
            [
                {
                    "account_id": record.account_id,
                    "started_at": record.started_at.isoformat(),
                    "finished_at": record.finished_at.isoformat() if record.finished_at else None,
                    "messages": record.messages,
                    "octets": record.octets,
                    "blobs": record.blobs,
                }
                for record in records
            ]
        )
        return
    print_table(
        ("account", "messages", "octets", "began", "finished"),
        [
            (
                record.account_id,
                record.messages,
                octets(record.octets),
                record.started_at,
                record.finished_at,
            )
            for record in records
        ],
        empty=empty,
    )


def fsck(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; the server must be stopped.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Check that rows, bodies and octets agree; exits 1 if anything is left that does not."""
    settings = read_config(config)
    quiet_logs()
    from um.app.upkeep import check_store

    with progress() as display:
        task = display.add_task("checking", total=None)

        def show(check: str) -> None:
            display.update(task, description=f"checking {check}")

        found = asyncio.run(check_store(settings, repair=repair, progress=show))
    if json:
        print_json([asdict(finding) for finding in found])
    else:
        print_table(
            ("check", "subject", "detail", "repaired"),
            [
                (each.check, each.subject, each.detail, "yes" if each.repaired else "no")
                for each in found
            ],
            empty="Everything agrees.",
        )
    if not all(finding.repaired for finding in found):
        raise typer.Exit(1)


def migrate(config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version; the server must be stopped."""
    settings = read_config(config)
    quiet_logs()
    from um.app.upkeep import migrate_store

    done = asyncio.run(migrate_store(settings))
    say("The schema was brought up to date." if done else "The schema is up to date.")


def parse_instant(text: str, timezone: str) -> datetime:
    """An instant in ISO 8601; without an offset in `timezone`. Raises InvalidError."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError(f"{text}: is no time such as 2026-03-01T10:00:00+00:00") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(timezone))
