"""One transaction on one connection of a database: what the repositories work with."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from storage.schema import changes as changes_table
from storage.statement import Statement, Values, insert
from um.core.events import AccountChanged, Change, MailboxChanged
from um.core.ids import AccountId, MailboxId, ModSeq
from um.core.ports import Clock
from um.core.steps import Steps

_ADD_CHANGE = Statement(
    insert(changes_table, "account_id", "mailbox_id", "modseq", "what", "at", "origin")
)


class Cursor(Protocol):
    """The part of a DB-API cursor (PEP 249) that is used."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, operation: Any, parameters: Any = ..., /) -> Any: ...

    def executemany(self, operation: Any, parameters: Any, /) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Unit:
    """Runs statements on `cursor` and notes what changed.

    `writes` is False on a reading connection: nothing can be locked there.
    """

    def __init__(
        self, cursor: Cursor, dialect: sa.Dialect, *, clock: Clock, steps: Steps, writes: bool
    ) -> None:
        self.clock = clock
        self.steps = steps
        self.locks = writes and dialect.name == "postgresql"
        """Whether rows have to be locked: SQLite's one writer holds the whole database."""
        self.changes: dict[str, Change] = {}
        self._gone: set[AccountId] = set()
        self._writes = writes
        self._cursor = cursor
        self._dialect = dialect

    def rows(self, statement: Statement, /, **parameters: Any) -> list[Values]:
        """All rows of a query, or of RETURNING."""
        compiled = statement.compiled(self._dialect)
        self._cursor.execute(compiled.text, compiled.arguments(parameters))
        return compiled.convert(self._cursor.fetchall())

    def row(self, statement: Statement, /, **parameters: Any) -> Values | None:
        """The first row, if there is one."""
        rows = self.rows(statement, **parameters)
        return rows[0] if rows else None

    def do(self, statement: Statement, /, **parameters: Any) -> int:
        """Run a statement that writes; returns how many rows it touched."""
        self._may_write()
        compiled = statement.compiled(self._dialect)
        self._cursor.execute(compiled.text, compiled.arguments(parameters))
        return self._cursor.rowcount

    def many(self, statement: Statement, parameters: Iterable[Mapping[str, Any]]) -> None:
        """Run a statement that writes, once for each set of parameters."""
        self._may_write()
        compiled = statement.compiled(self._dialect)
        self._cursor.executemany(compiled.text, [compiled.arguments(each) for each in parameters])

    def _may_write(self) -> None:
        if not self._writes:
            raise RuntimeError("a read must not write")

    def note_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> None:
        """One hint a mailbox and transaction, with the last MODSEQ."""
        self.changes[mailbox_id] = MailboxChanged(account_id, mailbox_id, modseq)

    def note_account(self, account_id: AccountId) -> None:
        """One hint an account and transaction."""
        self.changes[account_id] = AccountChanged(account_id)

    def forget_account(self, account_id: AccountId) -> None:
        """Tell this process that the account is gone, and leave no hint that names it behind."""
        for key, change in list(self.changes.items()):
            if change.account_id == account_id:
                del self.changes[key]
        self.note_account(account_id)
        self._gone.add(account_id)

    def write_changes(self, origin: int) -> None:
        """Append the hints to `changes`, for other processes; the last thing before the commit."""
        at = self.clock.now()
        for change in self.changes.values():
            if change.account_id in self._gone:
                continue
            in_mailbox = change if isinstance(change, MailboxChanged) else None
            self.do(
                _ADD_CHANGE,
                account_id=change.account_id,
                mailbox_id=in_mailbox and in_mailbox.mailbox_id,
                modseq=in_mailbox.modseq if in_mailbox else 0,
                what="mailbox" if in_mailbox else "account",
                at=at,
                origin=origin,
            )
