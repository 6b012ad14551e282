"""Port of what opens an account beside its password."""

from datetime import datetime
from typing import Protocol

from um.core.credentials import (
    AppPassword,
    LinkPurpose,
    OneTimeLink,
    OperatorToken,
    WebSession,
)
from um.core.ids import (
    AccountId,
    CredentialId,
)


class Credentials(Protocol):
    """Sessions, tokens, app passwords and one-time links. All but tokens go with their account."""

    def add_session(self, session: WebSession) -> None:
        """Raises NotFoundError without the account."""
        ...

    def session(self, secret_hash: str) -> WebSession | None: ...

    def touch_session(self, secret_hash: str, at: datetime) -> None:
        """Note that it was used; harmless if it is gone."""
        ...

    def sessions_of(self, account_id: AccountId) -> list[WebSession]:
        """The latest used first."""
        ...

    def end_session(self, secret_hash: str) -> None:
        """Harmless if it is gone."""
        ...

    def end_sessions_of(self, account_id: AccountId, *, but: str = "") -> int:
        """End all of an account but one; returns how many."""
        ...

    def forget_sessions(self, *, used_before: datetime, opened_before: datetime) -> int:
        """Drop those that were last used or were opened before; returns how many."""
        ...

    def add_token(self, token: OperatorToken) -> None:
        """Raises AlreadyExistsError if one of that name is there."""
        ...

    def token(self, secret_hash: str) -> OperatorToken | None: ...

    def tokens(self) -> list[OperatorToken]:
        """By name."""
        ...

    def remove_token(self, name: str) -> bool:
        """False if there is none."""
        ...

    def add_app_password(self, password: AppPassword) -> None:
        """Raises NotFoundError without the account."""
        ...

    def app_password(self, account_id: AccountId, secret_hash: str) -> AppPassword | None: ...

    def app_passwords_of(self, account_id: AccountId) -> list[AppPassword]:
        """Oldest first."""
        ...

    def touch_app_password(self, password_id: CredentialId, at: datetime) -> None:
        """Note that it was used; harmless if it is gone."""
        ...

    def remove_app_password(self, account_id: AccountId, password_id: CredentialId) -> bool:
        """False if the account has none of that id."""
        ...

    def add_link(self, link: OneTimeLink) -> None:
        """Raises NotFoundError without the account. An earlier one of that purpose ends."""
        ...

    def link_of(self, account_id: AccountId, purpose: LinkPurpose) -> OneTimeLink | None:
        """The last that was made and not used; whether it has expired is the caller's to see."""
        ...

    def end_links_of(self, account_id: AccountId) -> int:
        """End all that are open; returns how many."""
        ...

    def take_link(self, secret_hash: str, purpose: LinkPurpose, now: datetime) -> AccountId | None:
        """Use a link up: whose it was, or None if there is none or it has expired."""
        ...

    def forget_links(self, before: datetime) -> int:
        """Drop those that expired before; returns how many."""
        ...
