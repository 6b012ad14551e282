"""`Credentials` in the database."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.instants import Instant
from storage.statement import Statement, Values, insert, value
from storage.unit import Unit
from um.core.credentials import (
    AppPassword,
    LinkPurpose,
    OneTimeLink,
    OperatorToken,
    Scope,
    WebSession,
)
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import AccountId, CredentialId

_s = schema.web_sessions.c
_t = schema.operator_tokens.c
_p = schema.app_passwords.c
_l = schema.one_time_links.c
_SESSION_FIELDS = tuple(each.name for each in fields(WebSession))
_TOKEN_FIELDS = tuple(each.name for each in fields(OperatorToken))
_PASSWORD_FIELDS = tuple(each.name for each in fields(AppPassword))
_LINK_FIELDS = tuple(each.name for each in fields(OneTimeLink))
_SESSIONS = sa.select(*(_s[name] for name in _SESSION_FIELDS))
_TOKENS = sa.select(*(_t[name] for name in _TOKEN_FIELDS))
_PASSWORDS = sa.select(*(_p[name] for name in _PASSWORD_FIELDS))

_ACCOUNT = Statement(sa.select(schema.accounts.c.id).where(schema.accounts.c.id == value("id")))
_ADD_SESSION = Statement(insert(schema.web_sessions, *_SESSION_FIELDS))
_SESSION = Statement(_SESSIONS.where(_s.secret_hash == value("key")))
_SESSIONS_OF = Statement(
    _SESSIONS.where(_s.account_id == value("id")).order_by(_s.used_at.desc(), _s.secret_hash)
)
_TOUCH_SESSION = Statement(
    sa.update(schema.web_sessions)
    .where(_s.secret_hash == value("key"))
    .values(used_at=value("at", Instant()))
)
_END_SESSION = Statement(sa.delete(schema.web_sessions).where(_s.secret_hash == value("key")))
_END_SESSIONS_OF = Statement(
    sa.delete(schema.web_sessions).where(
        _s.account_id == value("id"), _s.secret_hash != value("but")
    )
)
_FORGET_SESSIONS = Statement(
    sa.delete(schema.web_sessions).where(
        sa.or_(_s.used_at < value("used", Instant()), _s.opened_at < value("opened", Instant()))
    )
)

_ADD_TOKEN = Statement(insert(schema.operator_tokens, *_TOKEN_FIELDS).on_conflict_do_nothing())
_TOKEN = Statement(_TOKENS.where(_t.secret_hash == value("key")))
_ALL_TOKENS = Statement(_TOKENS.order_by(_t.name))
_REMOVE_TOKEN = Statement(sa.delete(schema.operator_tokens).where(_t.name == value("key")))

_ADD_PASSWORD = Statement(insert(schema.app_passwords, *_PASSWORD_FIELDS))
_PASSWORD = Statement(
    _PASSWORDS.where(_p.account_id == value("id"), _p.secret_hash == value("key"))
)
_PASSWORDS_OF = Statement(
    _PASSWORDS.where(_p.account_id == value("id")).order_by(_p.created_at, _p.id)
)
_TOUCH_PASSWORD = Statement(
    sa.update(schema.app_passwords)
    .where(_p.id == value("key"))
    .values(used_at=value("at", Instant()))
)
_REMOVE_PASSWORD = Statement(
    sa.delete(schema.app_passwords).where(_p.account_id == value("owner"), _p.id == value("key"))
)

_ADD_LINK = Statement(insert(schema.one_time_links, *_LINK_FIELDS))
_LINK_OF = Statement(
    sa.select(*(_l[name] for name in _LINK_FIELDS)).where(
        _l.account_id == value("id"), _l.purpose == value("what")
    )
)
_END_LINK = Statement(
    sa.delete(schema.one_time_links).where(
        _l.account_id == value("id"), _l.purpose == value("what")
    )
)
_END_LINKS_OF = Statement(sa.delete(schema.one_time_links).where(_l.account_id == value("id")))
_TAKE_LINK = Statement(
    sa.delete(schema.one_time_links)
    .where(_l.secret_hash == value("key"), _l.purpose == value("what"))
    .returning(_l.account_id, _l.expires_at)
)
_FORGET_LINKS = Statement(
    sa.delete(schema.one_time_links).where(_l.expires_at < value("before", Instant()))
)


class SqlCredentials:
    """`um.core.ports.Credentials`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add_session(self, session: WebSession) -> None:
        self._need_account(session.account_id)
        self._unit.do(_ADD_SESSION, **_columns(session, _SESSION_FIELDS))

    def session(self, secret_hash: str) -> WebSession | None:
        row = self._unit.row(_SESSION, key=secret_hash)
        return None if row is None else WebSession(*row)

    def touch_session(self, secret_hash: str, at: datetime) -> None:
        self._unit.do(_TOUCH_SESSION, key=secret_hash, at=at)

    def sessions_of(self, account_id: AccountId) -> list[WebSession]:
        return [WebSession(*row) for row in self._unit.rows(_SESSIONS_OF, id=account_id)]

    def end_session(self, secret_hash: str) -> None:
        self._unit.do(_END_SESSION, key=secret_hash)

    def end_sessions_of(self, account_id: AccountId, *, but: str = "") -> int:
        return self._unit.do(_END_SESSIONS_OF, id=account_id, but=but)

    def forget_sessions(self, *, used_before: datetime, opened_before: datetime) -> int:
        return self._unit.do(_FORGET_SESSIONS, used=used_before, opened=opened_before)

    def add_token(self, token: OperatorToken) -> None:
        columns = _columns(token, _TOKEN_FIELDS)
        columns["scopes"] = " ".join(sorted(token.scopes))
        if not self._unit.do(_ADD_TOKEN, **columns):
            raise AlreadyExistsError(f"There is a token {token.name} already")

    def token(self, secret_hash: str) -> OperatorToken | None:
        row = self._unit.row(_TOKEN, key=secret_hash)
        return None if row is None else _token(row)

    def tokens(self) -> list[OperatorToken]:
        return [_token(row) for row in self._unit.rows(_ALL_TOKENS)]

    def remove_token(self, name: str) -> bool:
        return bool(self._unit.do(_REMOVE_TOKEN, key=name))

    def add_app_password(self, password: AppPassword) -> None:
        self._need_account(password.account_id)
        self._unit.do(_ADD_PASSWORD, **_columns(password, _PASSWORD_FIELDS))

    def app_password(self, account_id: AccountId, secret_hash: str) -> AppPassword | None:
        row = self._unit.row(_PASSWORD, id=account_id, key=secret_hash)
        return None if row is None else AppPassword(*row)

    def app_passwords_of(self, account_id: AccountId) -> list[AppPassword]:
        return [AppPassword(*row) for row in self._unit.rows(_PASSWORDS_OF, id=account_id)]

    def touch_app_password(self, password_id: CredentialId, at: datetime) -> None:
        self._unit.do(_TOUCH_PASSWORD, key=password_id, at=at)

    def remove_app_password(self, account_id: AccountId, password_id: CredentialId) -> bool:
        return bool(self._unit.do(_REMOVE_PASSWORD, owner=account_id, key=password_id))

    def add_link(self, link: OneTimeLink) -> None:
        self._need_account(link.account_id)
        self._unit.do(_END_LINK, id=link.account_id, what=link.purpose.value)
        columns = _columns(link, _LINK_FIELDS)
        self._unit.do(_ADD_LINK, **(columns | {"purpose": link.purpose.value}))

    def link_of(self, account_id: AccountId, purpose: LinkPurpose) -> OneTimeLink | None:
        row = self._unit.row(_LINK_OF, id=account_id, what=purpose.value)
        if row is None:
            return None
        return replace(OneTimeLink(*row), purpose=purpose)

    def end_links_of(self, account_id: AccountId) -> int:
        return self._unit.do(_END_LINKS_OF, id=account_id)

    def take_link(self, secret_hash: str, purpose: LinkPurpose, now: datetime) -> AccountId | None:
        row = self._unit.row(_TAKE_LINK, key=secret_hash, what=purpose.value)
        if row is None:
            return None
        account_id, expires_at = row
        return AccountId(account_id) if now < expires_at else None

    def forget_links(self, before: datetime) -> int:
        return self._unit.do(_FORGET_LINKS, before=before)

    def _need_account(self, account_id: AccountId) -> None:
        if self._unit.row(_ACCOUNT, id=account_id) is None:
            raise NotFoundError("There is no such account")


def _columns(of: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


def _token(row: Values) -> OperatorToken:
    columns = dict(zip(_TOKEN_FIELDS, row, strict=True))
    scopes = frozenset(Scope(each) for each in columns["scopes"].split())
    return OperatorToken(**(columns | {"scopes": scopes}))
