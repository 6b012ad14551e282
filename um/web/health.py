"""Is this node fit to serve? A few quick checks, each with a limit of time.

A check is a coroutine function that returns when all is well and raises otherwise. What it raised
is shown only as a UMError's public words; the cause goes to the log.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from um.core.errors import UMError, UnavailableError
from um.core.ports import Store, Transaction
from um.service.purge_clock import PurgeClock

log = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[None]]
Notice = Callable[[], Awaitable[str]]
"""What an operator should know although the node serves; empty if there is nothing."""
OK = "ok"
LIMIT_SECONDS = 3.0
LEAST_FREE_OCTETS = 256 * 1024 * 1024
"""Below this, a few calls and mails could fill the disk before anyone looks."""


async def examine(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run all checks at once; name to `ok` or to what is wrong."""
    results = await asyncio.gather(*(_examined(name, check) for name, check in checks.items()))
    return dict(zip(checks, results, strict=True))


async def _examined(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            await check()
    except UMError as error:
        return error.public
    except TimeoutError:
        return f"No answer within {LIMIT_SECONDS:g} s"
    except Exception:
        log.exception("health check failed", check=name)
        return "The check itself failed"
    return OK


async def notices(wanted: Mapping[str, Notice]) -> dict[str, str]:
    """Those that have something to say. One that fails says nothing: a check tells of that."""
    results = await asyncio.gather(*(_noticed(name, notice) for name, notice in wanted.items()))
    return {name: text for name, text in zip(wanted, results, strict=True) if text}


async def _noticed(name: str, notice: Notice) -> str:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await notice()
    except (UMError, TimeoutError):
        return ""
    except Exception:
        log.exception("health notice failed", notice=name)
        return ""


def purge_held(purges: PurgeClock) -> Notice:
    """The clock jumped, so that nothing is purged before an operator confirms the time."""

    async def notice() -> str:
        since = await purges.held_since()
        if since is None:
            return ""
        at = since.isoformat(timespec="seconds")
        return (
            f"Held: the clock jumped, it was last trusted {at}. Confirm the time by um purge --at"
        )

    return notice


def database_answers(store: Store) -> Check:
    """A read of one row comes back."""

    def read_txn(transaction: Transaction) -> None:
        transaction.records.mark("health")

    async def check() -> None:
        await store.read("health", read_txn)

    return check


def folder_is_writable(folder: Path) -> Check:
    """A small file can be written there and removed."""

    def write() -> None:
        probe = folder / f".health-{os.getpid()}"
        try:
            try:
                probe.write_bytes(b"ok")
            finally:  # a full disk leaves an empty file
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"Cannot write: {error.strerror}") from error

    async def check() -> None:
        await asyncio.to_thread(write)

    return check


def has_free_space(folder: Path, least_octets: int = LEAST_FREE_OCTETS) -> Check:
    """The disk under `folder` has room left."""

    async def check() -> None:
        free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        if free < least_octets:
            raise UnavailableError(f"Only {free // 1024**2} MiB free")

    return check
