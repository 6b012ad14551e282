"""The repositories of one transaction, made when they are first asked for."""

from storage.accounts import SqlAccounts
from storage.annotations import SqlAnnotations
from storage.credentials import SqlCredentials
from storage.forward_addresses import SqlForwardAddresses
from storage.mailboxes import SqlMailboxes
from storage.messages import SqlMessages
from storage.numbers import SqlNumbers
from storage.outbox import SqlOutbox
from storage.records import SqlLockouts, SqlRecords, SqlReservations
from storage.unit import Unit


class SqlTransaction:
    """`um.core.ports.Transaction` on one unit."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.accounts = SqlAccounts(unit)
        self.mailboxes = SqlMailboxes(unit)
        self.messages = SqlMessages(unit)

    @property
    def numbers(self) -> SqlNumbers:
        return SqlNumbers(self._unit)

    @property
    def reservations(self) -> SqlReservations:
        return SqlReservations(self._unit)

    @property
    def lockouts(self) -> SqlLockouts:
        return SqlLockouts(self._unit)

    @property
    def credentials(self) -> SqlCredentials:
        return SqlCredentials(self._unit)

    @property
    def records(self) -> SqlRecords:
        return SqlRecords(self._unit)

    @property
    def addresses(self) -> SqlForwardAddresses:
        return SqlForwardAddresses(self._unit)

    @property
    def outbox(self) -> SqlOutbox:
        return SqlOutbox(self._unit)

    @property
    def annotations(self) -> SqlAnnotations:
        return SqlAnnotations(self._unit)
