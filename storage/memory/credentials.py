"""`Credentials` in memory."""

from dataclasses import replace
from datetime import datetime

from storage.memory.tables import Unit
from um.core.credentials import AppPassword, LinkPurpose, OneTimeLink, OperatorToken, WebSession
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import AccountId, CredentialId


class MemoryCredentials:
    """`um.core.ports.Credentials`."""

    def __init__(self, unit: Unit) -> None:
        self._tables = unit.tables

    def add_session(self, session: WebSession) -> None:
        self._need_account(session.account_id)
        self._tables.sessions[session.secret_hash] = session

    def session(self, secret_hash: str) -> WebSession | None:
        return self._tables.sessions.get(secret_hash)

    def touch_session(self, secret_hash: str, at: datetime) -> None:
        if session := self.session(secret_hash):
            self._tables.sessions[secret_hash] = replace(session, used_at=at)

    def sessions_of(self, account_id: AccountId) -> list[WebSession]:
        mine = [each for each in self._tables.sessions.values() if each.account_id == account_id]
        by_key = sorted(mine, key=lambda each: each.secret_hash)
        return sorted(by_key, key=lambda each: each.used_at, reverse=True)

    def end_session(self, secret_hash: str) -> None:
        self._tables.sessions.pop(secret_hash, None)

    def end_sessions_of(self, account_id: AccountId, *, but: str = "") -> int:
        ended = [each for each in self.sessions_of(account_id) if each.secret_hash != but]
        for each in ended:
            self.end_session(each.secret_hash)
        return len(ended)

    def forget_sessions(self, *, used_before: datetime, opened_before: datetime) -> int:
        old = [
            each.secret_hash
            for each in self._tables.sessions.values()
            if each.used_at < used_before or each.opened_at < opened_before
        ]
        for key in old:
            self.end_session(key)
        return len(old)

    def add_token(self, token: OperatorToken) -> None:
        if token.name in self._tables.tokens:
            raise AlreadyExistsError(f"There is a token {token.name} already")
        self._tables.tokens[token.name] = token

    def token(self, secret_hash: str) -> OperatorToken | None:
        for each in self._tables.tokens.values():
            if each.secret_hash == secret_hash:
                return each
        return None

    def tokens(self) -> list[OperatorToken]:
        return sorted(self._tables.tokens.values(), key=lambda each: each.name)

    def remove_token(self, name: str) -> bool:
        return self._tables.tokens.pop(name, None) is not None

    def add_app_password(self, password: AppPassword) -> None:
        self._need_account(password.account_id)
        self._tables.app_passwords[password.id] = password

    def app_password(self, account_id: AccountId, secret_hash: str) -> AppPassword | None:
        for each in self.app_passwords_of(account_id):
            if each.secret_hash == secret_hash:
                return each
        return None

    def app_passwords_of(self, account_id: AccountId) -> list[AppPassword]:
        every = self._tables.app_passwords.values()
        mine = [each for each in every if each.account_id == account_id]
        return sorted(mine, key=lambda each: (each.created_at, each.id))

    def touch_app_password(self, password_id: CredentialId, at: datetime) -> None:
        if password := self._tables.app_passwords.get(password_id):
            self._tables.app_passwords[password_id] = replace(password, used_at=at)

    def remove_app_password(self, account_id: AccountId, password_id: CredentialId) -> bool:
        password = self._tables.app_passwords.get(password_id)
        if password is None or password.account_id != account_id:
            return False
        del self._tables.app_passwords[password_id]
        return True

    def add_link(self, link: OneTimeLink) -> None:
        self._need_account(link.account_id)
        self._tables.links = {
            key: each
            for key, each in self._tables.links.items()
            if (each.account_id, each.purpose) != (link.account_id, link.purpose)
        }
        self._tables.links[link.secret_hash] = link

    def link_of(self, account_id: AccountId, purpose: LinkPurpose) -> OneTimeLink | None:
        for each in self._tables.links.values():
            if (each.account_id, each.purpose) == (account_id, purpose):
                return each
        return None

    def end_links_of(self, account_id: AccountId) -> int:
        kept = {k: v for k, v in self._tables.links.items() if v.account_id != account_id}
        ended = len(self._tables.links) - len(kept)
        self._tables.links = kept
        return ended

    def take_link(self, secret_hash: str, purpose: LinkPurpose, now: datetime) -> AccountId | None:
        link = self._tables.links.get(secret_hash)
        if link is None or link.purpose is not purpose:
            return None
        del self._tables.links[secret_hash]
        return link.account_id if now < link.expires_at else None

    def forget_links(self, before: datetime) -> int:
        kept = {key: each for key, each in self._tables.links.items() if each.expires_at >= before}
        dropped = len(self._tables.links) - len(kept)
        self._tables.links = kept
        return dropped

    def _need_account(self, account_id: AccountId) -> None:
        if account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
