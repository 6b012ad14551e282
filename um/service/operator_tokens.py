"""Bearer tokens of the operator's systems: billing, provisioning, statistics (RFC 6750)."""

import re
from datetime import timedelta

from um.core.account import AuditRecord
from um.core.credentials import OperatorToken, Scope
from um.core.errors import (
    AuthenticationError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from um.core.ids import CredentialId
from um.core.ports import Clock, Store, Transaction
from um.service.random_secrets import digest, new_secret
from um.service.unique import UniqueIds

PREFIX = "umt_"
"""By it a token that leaked into a file or a log is found."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class OperatorTokens:
    """Made and taken back by the command line, checked by the API."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._new_id = UniqueIds()

    async def add(
        self,
        name: str,
        scopes: frozenset[Scope],
        *,
        valid_days: int | None = None,
        actor: str = "operator",
    ) -> str:
        """Make a token; returns it, which is told once.

        Raises InvalidError for a name or term that cannot be, AlreadyExistsError.
        """
        if not _NAME.fullmatch(name):
            raise InvalidError("A token's name is small letters, digits and . _ - (64 at most)")
        if not scopes:
            raise InvalidError(f"A token has at least one scope: {', '.join(Scope)}")
        if valid_days is not None and valid_days < 1:
            raise InvalidError("A token is valid for at least one day")
        secret, now = PREFIX + new_secret(), self._clock.now()
        token = OperatorToken(
            id=CredentialId(self._new_id()),
            name=name,
            secret_hash=digest(secret),
            scopes=scopes,
            created_at=now,
            expires_at=now + timedelta(days=valid_days) if valid_days else None,
        )

        def add_txn(tx: Transaction) -> None:
            tx.credentials.add_token(token)
            detail = f"{name}: {' '.join(sorted(scopes))}"
            tx.records.audit(AuditRecord(now, actor, "token", None, detail))

        await self._store.run("add-token", add_txn)
        return secret

    async def check(self, secret: str, scope: Scope) -> OperatorToken:
        """The token, if it may do this. Raises AuthenticationError, ForbiddenError."""
        key = digest(secret)
        token = await self._store.read("token", lambda tx: tx.credentials.token(key))
        expired = token and token.expires_at and token.expires_at <= self._clock.now()
        if token is None or expired:
            raise AuthenticationError("The token is not valid")
        if scope not in token.scopes:
            raise ForbiddenError(f"The token lacks the scope {scope}")
        return token

    async def every(self) -> list[OperatorToken]:
        """All tokens, by name."""
        return await self._store.read("tokens", lambda tx: tx.credentials.tokens())

    async def remove(self, name: str, *, actor: str = "operator") -> None:
        """Take a token back: it opens nothing from the next request on. Raises NotFoundError."""
        now = self._clock.now()

        def remove_txn(tx: Transaction) -> None:
            if not tx.credentials.remove_token(name):
                raise NotFoundError(f"There is no token {name!r}")
            tx.records.audit(AuditRecord(now, actor, "token-removed", None, name))

        await self._store.run("remove-token", remove_txn)
