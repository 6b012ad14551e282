"""Mailboxes' own rows in memory, for as long as the store says that nothing was committed.

Laws:
- A row counts only under the store's stamp that was taken before it was read: a commit of whatever
  process, about whatever, ends all of them. So a row is what the database would answer now.
- Without a stamp nothing is kept.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from um.core.ids import AccountId, MailboxId
from um.core.message import Mailbox

MOST = 4096
"""Rows; each takes about 500 octets."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read under one stamp. Put in only what was read after the stamp was taken."""

    by_name: dict[tuple[AccountId, str], Mailbox] = field(default_factory=dict)
    by_id: dict[tuple[AccountId, MailboxId], Mailbox] = field(default_factory=dict)


class MailboxRows:
    """The rows of a process. Call it on the loop's thread only."""

    def __init__(self) -> None:
        self._stamp: Hashable | None = None
        self._rows = Rows()

    def at(self, stamp: Hashable | None) -> Rows:
        """Those that were read under `stamp`, to look into and to add to."""
        full = len(self._rows.by_name) + len(self._rows.by_id) >= MOST
        if stamp is None or stamp != self._stamp or full:
            self._stamp = stamp
            self._rows = Rows()
        return self._rows
