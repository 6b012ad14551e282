"""`Numbers` in the database."""

from datetime import datetime

import sqlalchemy as sa

from storage import schema
from storage.instants import Instant
from storage.statement import Statement, Values, insert, value
from storage.unit import Unit
from um.core.account import Number, NumberState, NumberUse
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import E164, AccountId

_t = schema.numbers.c
_a = schema.aliases.c
_ALL = sa.select(_t.e164, _t.account_id, _t.use, _t.state, _t.hold_until)
_KEY = _t.e164 == value("key")

_ADD = Statement(insert(schema.numbers).on_conflict_do_nothing())
_TAKE_OVER = Statement(
    sa.update(schema.numbers)
    .where(
        _KEY,
        _t.state == NumberState.HELD.value,
        _t.hold_until <= value("now", Instant()),
    )
    .values(
        account_id=value("account_id"),
        use=value("use"),
        state=value("state"),
        hold_until=value("hold_until", Instant()),
    )
)
_GET = Statement(_ALL.where(_KEY))
_OF_ACCOUNT = Statement(_ALL.where(_t.account_id == value("id")).order_by(_t.e164))
_SET_STATE = Statement(
    sa.update(schema.numbers)
    .where(_KEY)
    .values(state=value("state"), hold_until=value("hold_until", Instant()))
)
_SET_USE = Statement(sa.update(schema.numbers).where(_KEY).values(use=value("use")))
_HOLD = Statement(
    sa.update(schema.numbers)
    .where(_KEY)
    .values(
        account_id=None,
        state=NumberState.HELD.value,
        hold_until=value("hold_until", Instant()),
    )
)
_FREE = Statement(sa.delete(schema.numbers).where(_KEY))
_ENDED = (
    _t.account_id.is_(None),
    _t.state == NumberState.HELD.value,
    _t.hold_until <= value("now", Instant()),
)
_FREE_HELD = (
    Statement(sa.delete(schema.aliases).where(_a.e164.in_(sa.select(_t.e164).where(*_ENDED)))),
    Statement(sa.delete(schema.numbers).where(*_ENDED)),
)
_ADD_ALIAS = Statement(insert(schema.aliases).on_conflict_do_nothing())
_BY_ALIAS = Statement(
    _ALL.join_from(schema.aliases, schema.numbers).where(_a.alias == value("alias"))
)
_FORGET_ALIASES = Statement(sa.delete(schema.aliases).where(_a.e164 == value("key")))
_ACCOUNT = Statement(sa.select(schema.accounts.c.id).where(schema.accounts.c.id == value("id")))


class SqlNumbers:
    """`um.core.ports.Numbers`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, number: Number, *, now: datetime) -> None:
        if number.account_id and self._unit.row(_ACCOUNT, id=number.account_id) is None:
            raise NotFoundError("There is no such account")
        columns = {
            "account_id": number.account_id,
            "use": number.use.value,
            "state": number.state.value,
            "hold_until": number.hold_until,
        }
        if not self._unit.do(_ADD, e164=number.e164, **columns) and not self._unit.do(
            _TAKE_OVER, key=number.e164, now=now, **columns
        ):
            raise AlreadyExistsError(f"The number {number.e164} is not free")
        self._note(number)

    def get(self, e164: E164) -> Number | None:
        return _number(self._unit.row(_GET, key=e164))

    def of_account(self, account_id: AccountId) -> list[Number]:
        return [_known(row) for row in self._unit.rows(_OF_ACCOUNT, id=account_id)]

    def set_state(
        self, e164: E164, state: NumberState, *, hold_until: datetime | None = None
    ) -> None:
        number = self._present(e164)
        self._unit.do(_SET_STATE, key=e164, state=state.value, hold_until=hold_until)
        self._note(number)

    def set_use(self, e164: E164, use: NumberUse) -> None:
        number = self._present(e164)
        self._unit.do(_SET_USE, key=e164, use=use.value)
        self._note(number)

    def hold(self, e164: E164, until: datetime) -> None:
        number = self._present(e164)
        self._unit.do(_FORGET_ALIASES, key=e164)
        self._unit.do(_HOLD, key=e164, hold_until=until)
        self._note(number)

    def free(self, e164: E164) -> None:
        number = self._present(e164)
        self._unit.do(_FORGET_ALIASES, key=e164)
        self._unit.do(_FREE, key=e164)
        self._note(number)

    def free_held(self, now: datetime) -> int:
        return [self._unit.do(statement, now=now) for statement in _FREE_HELD][-1]

    def add_alias(self, alias: str, e164: E164) -> None:
        number = self._present(e164)
        if not self._unit.do(_ADD_ALIAS, alias=alias, e164=e164):
            owner = self.by_alias(alias)
            if owner is None or owner.e164 != e164:
                raise AlreadyExistsError(f"The extension {alias} is taken")
        self._note(number)

    def by_alias(self, alias: str) -> Number | None:
        return _number(self._unit.row(_BY_ALIAS, alias=alias))

    def _present(self, e164: E164) -> Number:
        number = self.get(e164)
        if number is None:
            raise NotFoundError(f"There is no number {e164}")
        return number

    def _note(self, number: Number) -> None:
        if number.account_id is not None:
            self._unit.note_account(number.account_id)


def _known(row: Values) -> Number:
    e164, account_id, use, state, hold_until = row
    return Number(e164, account_id, NumberUse(use), NumberState(state), hold_until)


def _number(row: Values | None) -> Number | None:
    return None if row is None else _known(row)
