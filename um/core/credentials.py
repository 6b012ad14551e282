"""What opens a door besides a password: sessions of the portal, tokens, passwords of mail programs.

All of them are long and random, so that their SHA-256 is enough to keep: nothing that is stored
opens anything (unlike a password, which is short and needs argon2id).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from um.core.ids import AccountId, CredentialId


@dataclass(frozen=True, slots=True)
class WebSession:
    """A customer who is logged in to the portal or the API. All instants are aware, in UTC."""

    secret_hash: str = field(repr=False)
    """SHA-256 of the cookie, 64 hexadecimal digits: the key of the row."""
    account_id: AccountId
    opened_at: datetime
    used_at: datetime
    peer: str = ""
    """Address that it was opened from."""
    agent: str = ""
    """What the browser calls itself, for the owner's list of sessions."""

    @property
    def public_id(self) -> str:
        """Names the session without opening anything: half of the hash of its secret."""
        return self.secret_hash[:32]


class Scope(StrEnum):
    """What an operator's token may do."""

    READ = "read"
    """Look at accounts, numbers, statistics and the audit log."""
    ACCOUNTS = "accounts"
    """Make, change, suspend, close and reopen accounts; numbers too."""
    DEPOSIT = "deposit"
    """Hand invoices over."""


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """A bearer token of the operator's systems (RFC 6750)."""

    id: CredentialId
    name: str
    """Who it was given to: the actor in the audit log."""
    secret_hash: str = field(repr=False)
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AppPassword:
    """A password of one mail program, which the owner may take back alone."""

    id: CredentialId
    account_id: AccountId
    label: str
    secret_hash: str = field(repr=False)
    created_at: datetime
    used_at: datetime | None = None


class LinkPurpose(StrEnum):
    """What following a link that was mailed does."""

    RESET_PASSWORD = "reset-password"  # noqa: S105 - a purpose, not a password


@dataclass(frozen=True, slots=True)
class OneTimeLink:
    """A link that works once, until it expires."""

    secret_hash: str = field(repr=False)
    account_id: AccountId
    purpose: LinkPurpose
    expires_at: datetime
