"""Reads the lamps of accounts that changed, one reading after another, and all of them at a start.

A later reading never starts before an earlier one was told of, so that what is told last is newest.
Changes come before the rest of a full round.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

import structlog

from um.core.errors import UMError
from um.core.ids import AccountId
from um.core.waiting import Lamp
from um.service.message_waiting import MessageWaiting, Subscriptions

log = structlog.get_logger(__name__)

PORTION: Final = 100
RETRY_SECONDS: Final = 1.0


class LampReader:
    """One task that reads while there is something to read.

    Args:
        waiting: the service.
        nodes: SIP addresses whose kept subscriptions the full round reads too.
        told: gets each account's lamps, and in the full round its subscriptions by node.
    """

    def __init__(
        self,
        waiting: MessageWaiting,
        nodes: Iterable[str],
        told: Callable[[AccountId, list[Lamp], dict[str, Subscriptions]], None],
    ) -> None:
        self._waiting = waiting
        self._nodes = list(nodes)
        self._told = told
        self._changed: dict[AccountId, None] = {}
        self._round: dict[AccountId, None] = {}
        self._round_asked = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with a full round."""
        self._round_asked = True
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="message waiting")

    def read(self, accounts: Iterable[AccountId]) -> None:
        """Read these soon."""
        self._changed.update(dict.fromkeys(accounts))
        self._wake.set()

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._round_asked or self._changed or self._round:
                try:
                    await self._read_some()
                except UMError as error:
                    log.warning("mwi.not-read", error=error.code)
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:
                    log.exception("mwi.not-read")
                    await asyncio.sleep(RETRY_SECONDS)

    async def _read_some(self) -> None:
        if self._round_asked:
            self._round = dict.fromkeys(await self._waiting.every_account())
            self._round_asked = False
        whole = not self._changed
        source = self._round if whole else self._changed
        accounts = list(islice(source, PORTION))
        for account_id in accounts:
            del source[account_id]
        try:
            # What was kept first: a subscription must not be told an older state than the lamps.
            kept = await self._kept(accounts) if whole else {}
            lamps = await self._waiting.of_accounts(accounts)
        except UMError:
            source.update(dict.fromkeys(accounts))
            raise
        for account_id, found in lamps.items():
            self._told(account_id, found, kept.get(account_id, {}))

    async def _kept(self, accounts: list[AccountId]) -> dict[AccountId, dict[str, Subscriptions]]:
        kept: dict[AccountId, dict[str, Subscriptions]] = {}
        for node in self._nodes:
            for account_id, records in (await self._waiting.kept(accounts, node)).items():
                kept.setdefault(account_id, {})[node] = records
        return kept
