"""What is said about an account and may be changed at any time: names, contact, language, room.

Laws:
- One change is one transaction with one audit record, which names the keys and not what they hold:
  the log is the operator's, a customer's own data is theirs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from um.core.account import MIN_QUOTA_OCTETS, Account, AuditRecord
from um.core.errors import InvalidError
from um.core.ports import Clock, Store, Transaction
from um.policy.calendar import zone
from um.policy.names import account_name
from um.service.accounts import MAX_RING_SECONDS
from um.service.recipients import locked_txn, named_txn
from um.service.settings import AccountSettings

CONTACT_KEYS = ("company", "street", "postal_code", "city", "country", "phone", "mobile")
"""What contact data holds; each is kept as the preference `contact.KEY`."""
MAX_TEXT = 200
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What shall be different; None leaves a thing as it is."""

    full_name: str | None = None
    timezone: str | None = None
    language: str | None = None
    quota_octets: int | None = None
    """For operators."""
    voicemail: bool | None = None
    ring_seconds: int | None = None
    default_ring: bool = False
    """The ring time is the operator's default again."""
    contact: Mapping[str, str] = field(default_factory=dict)
    """By CONTACT_KEYS; an empty text removes one."""

    def named(self) -> list[str]:
        """The things that it changes."""
        fields = ("full_name", "timezone", "language", "quota_octets", "voicemail", "ring_seconds")
        found = [name for name in fields if getattr(self, name) is not None]
        if self.default_ring:
            found.append("ring_seconds")
        return found + [f"contact.{key}" for key in self.contact]


class Profiles:
    """Changes accounts by name."""

    def __init__(self, store: Store, clock: Clock, settings: AccountSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def contact(self, name: str) -> dict[str, str]:
        """The contact data that there is. Raises NotFoundError."""

        def contact_txn(tx: Transaction) -> dict[str, str]:
            account = named_txn(tx, name, self._settings.domain)
            chosen = tx.accounts.preferences(account.id)
            return {key: chosen.get(f"contact.{key}", "") for key in CONTACT_KEYS}

        return await self._store.read("show-contact", contact_txn)

    async def change(self, name: str, change: ProfileChange, *, actor: str = "operator") -> Account:
        """Change the account. Raises NotFoundError, InvalidError."""
        _check(change)
        now = self._clock.now()

        def change_profile_txn(tx: Transaction) -> Account:
            account = _changed(locked_txn(tx, name, self._settings.domain), change)
            tx.accounts.save(account)
            for key, text in change.contact.items():
                tx.accounts.set_preference(account.id, f"contact.{key}", text or None)
            detail = " ".join(change.named())
            tx.records.audit(AuditRecord(now, actor, "profile", account.id, detail))
            return account

        return await self._store.run("change-profile", change_profile_txn)

    async def rename(self, name: str, new_name: str, *, actor: str = "operator") -> Account:
        """Give the account another login name; its numbers and sessions stay.

        Raises NotFoundError, InvalidError, AlreadyExistsError.
        """
        chosen, now = account_name(new_name), self._clock.now()

        def rename_account_txn(tx: Transaction) -> Account:
            before = locked_txn(tx, name, self._settings.domain)
            account = replace(before, name=chosen)
            tx.accounts.save(account)
            detail = f"{before.name} -> {chosen}"
            tx.records.audit(AuditRecord(now, actor, "rename", account.id, detail))
            return account

        return await self._store.run("rename-account", rename_account_txn)


def _check(change: ProfileChange) -> None:
    for text in (change.full_name or "", *change.contact.values()):
        if len(text) > MAX_TEXT or not text.isprintable():
            raise InvalidError(f"A text has at most {MAX_TEXT} printable characters")
    if unknown := set(change.contact).difference(CONTACT_KEYS):
        raise InvalidError(f"Contact data has no {', '.join(sorted(unknown))}")
    if change.timezone is not None:
        zone(change.timezone)
    if change.language is not None and not _LANGUAGE.fullmatch(change.language):
        raise InvalidError("A language is its code of two or three letters, such as en")
    if change.quota_octets is not None and change.quota_octets < MIN_QUOTA_OCTETS:
        raise InvalidError("A mailbox has at least 1 MiB")
    if change.ring_seconds is not None and not 0 <= change.ring_seconds <= MAX_RING_SECONDS:
        raise InvalidError(
            f"The ring time is 0 to {MAX_RING_SECONDS} seconds",
            why="ring_seconds",
            most=MAX_RING_SECONDS,
        )


def _changed(account: Account, change: ProfileChange) -> Account:
    names = ("full_name", "timezone", "language", "quota_octets", "ring_seconds")
    given = {name: getattr(change, name) for name in names}
    values = {name: value for name, value in given.items() if value is not None}
    if change.default_ring:
        values["ring_seconds"] = None
    if change.voicemail is not None:
        values["voicemail_enabled"] = change.voicemail
    return replace(account, **values)
