"""Passwords of single mail programs: made for the owner, shown once, taken back one by one.

They open IMAP only. A telephone that is lost is shut out without a new password everywhere else.
"""

from um.core.account import Account, AuditRecord
from um.core.credentials import AppPassword
from um.core.errors import InvalidError, NotFoundError
from um.core.ids import AccountId, CredentialId
from um.core.ports import Clock, Store, Transaction
from um.service.random_secrets import digest, new_app_password, plain_app_password
from um.service.recipients import check_proof, locked_txn, named_txn
from um.service.settings import AccountSettings
from um.service.unique import UniqueIds

MAX_PASSWORDS = 20
MAX_LABEL_CHARACTERS = 60


class AppPasswords:
    """Of the account of a name."""

    def __init__(self, store: Store, clock: Clock, settings: AccountSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._new_id = UniqueIds()

    async def add(
        self, name: str, label: str, *, actor: str = "operator", proof: Account | None = None
    ) -> str:
        """Make one; returns it as it is to be typed, which is told once.

        Raises NotFoundError, InvalidError (a label that cannot be, or too many passwords), and
        AuthenticationError if `proof` holds no more (`check_proof`).
        """
        label = label.strip()
        if not label or len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
            raise InvalidError(
                f"A label has 1 to {MAX_LABEL_CHARACTERS} printable characters",
                why="label_length",
                most=MAX_LABEL_CHARACTERS,
            )
        shown, now = new_app_password(), self._clock.now()
        kept = digest(plain_app_password(shown) or "")

        def add_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            check_proof(account, proof)
            if len(tx.credentials.app_passwords_of(account.id)) >= MAX_PASSWORDS:
                raise InvalidError(
                    f"An account has at most {MAX_PASSWORDS} app passwords",
                    why="labels_many",
                    most=MAX_PASSWORDS,
                )
            tx.credentials.add_app_password(
                AppPassword(CredentialId(self._new_id()), account.id, label, kept, now)
            )
            tx.records.audit(AuditRecord(now, actor, "app-password", account.id, label))

        await self._store.run("add-app-password", add_txn)
        return shown

    async def every(self, name: str) -> list[AppPassword]:
        """Oldest first. Raises NotFoundError."""

        def every_txn(tx: Transaction) -> list[AppPassword]:
            account = named_txn(tx, name, self._settings.domain)
            return tx.credentials.app_passwords_of(account.id)

        return await self._store.read("app-passwords", every_txn)

    async def remove(
        self, name: str, password_id: CredentialId, *, actor: str = "operator"
    ) -> None:
        """Take one back: it opens nothing more, and what it had opened ends. Raises NotFoundError."""
        now = self._clock.now()

        def remove_txn(tx: Transaction) -> None:
            account = locked_txn(tx, name, self._settings.domain)
            if not tx.credentials.remove_app_password(account.id, password_id):
                raise NotFoundError("There is no such app password")
            tx.accounts.save(account)  # as it is: who is logged in looks at it again
            tx.records.audit(
                AuditRecord(now, actor, "app-password-removed", account.id, password_id)
            )

        await self._store.run("remove-app-password", remove_txn)


def end_app_passwords_txn(tx: Transaction, account_id: AccountId) -> int:
    """Take all of an account's back; returns how many."""
    every = tx.credentials.app_passwords_of(account_id)
    return sum(tx.credentials.remove_app_password(account_id, each.id) for each in every)
