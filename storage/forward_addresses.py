"""`ForwardAddresses` in the database."""

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.statement import Statement, Values, insert, value
from storage.unit import Unit
from um.core.errors import AlreadyExistsError
from um.core.forwarding import AddressState, ForwardAddress
from um.core.ids import AccountId, AddressId

_t = schema.forward_addresses.c
_FIELDS = tuple(field.name for field in fields(ForwardAddress))
_ALL = sa.select(*(_t[name] for name in _FIELDS))

_ADD = Statement(insert(schema.forward_addresses, *_FIELDS, "address_key").on_conflict_do_nothing())
_GET = Statement(_ALL.where(_t.id == value("id")))
_FIND = Statement(_ALL.where(_t.account_id == value("id"), _t.address_key == value("key")))
_BY_TOKEN = Statement(_ALL.where(_t.token_hash == value("token")))
_OF_ACCOUNT = Statement(_ALL.where(_t.account_id == value("id")).order_by(_t.created_at, _t.id))
_SAVE = Statement(
    sa.update(schema.forward_addresses)
    .where(_t.id == value("key"))
    .values({name: value(name, _t[name].type) for name in (*_FIELDS[1:], "address_key")})
)
_REMOVE = Statement(sa.delete(schema.forward_addresses).where(_t.id == value("key")))


class SqlForwardAddresses:
    """`um.core.ports.ForwardAddresses`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, address: ForwardAddress) -> None:
        if not self._unit.do(_ADD, **_columns(address)):
            raise AlreadyExistsError(f"{address.address} is there already")
        self._unit.note_account(address.account_id)

    def get(self, address_id: AddressId) -> ForwardAddress | None:
        return _address(self._unit.row(_GET, id=address_id))

    def find(self, account_id: AccountId, address: str) -> ForwardAddress | None:
        return _address(self._unit.row(_FIND, id=account_id, key=address.casefold()))

    def by_token(self, token_hash: str) -> ForwardAddress | None:
        return _address(self._unit.row(_BY_TOKEN, token=token_hash))

    def of_account(self, account_id: AccountId) -> list[ForwardAddress]:
        return [_known(row) for row in self._unit.rows(_OF_ACCOUNT, id=account_id)]

    def save(self, address: ForwardAddress) -> None:
        columns = _columns(address)
        if self._unit.do(_SAVE, key=columns.pop("id"), **columns):
            self._unit.note_account(address.account_id)

    def remove(self, address_id: AddressId) -> None:
        gone = self.get(address_id)
        if gone is not None:
            self._unit.do(_REMOVE, key=address_id)
            self._unit.note_account(gone.account_id)


def _columns(address: ForwardAddress) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(address, name) for name in _FIELDS}
    columns["state"] = address.state.value
    columns["address_key"] = address.address.casefold()
    return columns


def _known(row: Values) -> ForwardAddress:
    columns = dict(zip(_FIELDS, row, strict=True))
    columns["state"] = AddressState(columns["state"])
    return ForwardAddress(**columns)


def _address(row: Values | None) -> ForwardAddress | None:
    return None if row is None else _known(row)
