"""The operator's accounts: list, add, change, life and secrets."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from um.core.account import Account, AccountState, AuditRecord, NumberUse
from um.core.message import MessageKind
from um.service.accounts import AccountOverview, NewAccount
from um.service.profile import ProfileChange
from um.web.api.documents import (
    Document,
    Given,
    Line,
    LogCursor,
    NumberDocument,
    Octets,
    latest_first,
)
from um.web.api.own_account import Contact, NewName, Pin, Secret
from um.web.guards import Clerk, Reader, actor
from um.web.services import Services, WebServices

router = APIRouter(prefix="/accounts", tags=["operator"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9@._-]{1,320}$")]
"""The account's name, with or without the domain."""


class AccountDocument(Document):
    """An account as the operator sees it."""

    id: str
    name: str
    domain: str
    full_name: str
    state: AccountState
    state_reason: str
    created_at: AwareDatetime
    suspended_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    purge_at: AwareDatetime | None
    legal_hold_at: AwareDatetime | None
    legal_hold_reason: str
    timezone: str
    language: str
    voicemail: bool
    ring_seconds: int | None
    has_password: bool
    has_pin: bool
    numbers: list[NumberDocument]
    used_octets: int
    reserved_octets: int
    quota_octets: int
    messages: dict[MessageKind, int]

    @classmethod
    def of(cls, overview: AccountOverview) -> "AccountDocument":
        """Over the wire: no hash of a secret."""
        account, usage = overview.account, overview.usage
        return cls(
            id=account.id,
            name=account.name,
            domain=account.domain,
            full_name=account.full_name,
            state=account.state,
            state_reason=account.state_reason,
            created_at=account.created_at,
            suspended_at=account.suspended_at,
            closed_at=account.closed_at,
            purge_at=account.purge_at,
            legal_hold_at=account.legal_hold_at,
            legal_hold_reason=account.legal_hold_reason,
            timezone=account.timezone,
            language=account.language,
            voicemail=account.voicemail_enabled,
            ring_seconds=account.ring_seconds,
            has_password=account.password_hash is not None,
            has_pin=account.pin_hash is not None,
            numbers=[NumberDocument.of(each) for each in overview.numbers],
            used_octets=usage.used_octets,
            reserved_octets=usage.reserved_octets,
            quota_octets=usage.limit_octets,
            messages=overview.counts,
        )


class AccountPage(Document):
    """Some accounts, by name."""

    accounts: list[AccountDocument]
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


class NewNumber(Given):
    """A telephone number in any spelling."""

    number: Annotated[str, Field(min_length=1, max_length=40)]
    use: NumberUse = NumberUse.BOTH


class AccountToAdd(Given):
    """A new account; what is left out is the operator's default."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    numbers: Annotated[tuple[NewNumber, ...], Field(max_length=100)] = ()
    full_name: Line = ""
    timezone: Annotated[str, Field(max_length=64)] | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = None
    quota_octets: Octets | None = None
    password: Secret | None = None
    pin: Pin | None = None


class AccountChange(Given):
    """What shall be different; what is left out stays as it is."""

    full_name: Line | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    language: Annotated[str, Field(max_length=3)] | None = None
    quota_octets: Octets | None = None
    voicemail: bool | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=180)] | None = None
    """Null: the operator's default again."""
    contact: Contact | None = None


class Reason(Given):
    """Why it is done; the owner is shown it."""

    reason: Line = ""


class LegalHold(Given):
    """A hold needs its reason, which the owner is not shown."""

    on: bool
    reason: Line = ""


class PasswordToSet(Given):
    """A password, from the operator's side."""

    password: Secret
    end_app_passwords: bool = False


class PinToSet(Given):
    """A PIN, from the operator's side."""

    pin: Pin


class AuditDocument(Document):
    """Who did what, and why."""

    at: AwareDatetime
    actor: str
    action: str
    detail: str

    @classmethod
    def of(cls, record: AuditRecord) -> "AuditDocument":
        """Over the wire."""
        return cls(at=record.at, actor=record.actor, action=record.action, detail=record.detail)


class AuditPage(Document):
    """Part of the log, the latest first."""

    records: list[AuditDocument]
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


@router.get("")
async def list_accounts(
    _: Reader,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Line = "",
) -> AccountPage:
    """List accounts by name, a page at a time."""
    found = await services.accounts.page(after=after, limit=limit + 1)
    shown = found[:limit]
    return AccountPage(
        accounts=[AccountDocument.of(each) for each in shown],
        next=shown[-1].account.name if len(found) > limit else None,
    )


@router.post("", status_code=201)
async def add_account(given: AccountToAdd, token: Clerk, services: Services) -> AccountDocument:
    """Add an account with its numbers and, if given, its secrets."""
    new = NewAccount(
        name=given.name,
        numbers=[(each.number, each.use) for each in given.numbers],
        full_name=given.full_name,
        timezone=given.timezone,
        language=given.language,
        quota_octets=given.quota_octets,
    )
    account = await services.accounts.add(
        new,
        password=given.password.get_secret_value() if given.password else None,
        pin=given.pin.get_secret_value() if given.pin else None,
        actor=actor(token),
    )
    return await _shown(services, account.name)


@router.get("/{name}")
async def show_account(name: Name, _: Reader, services: Services) -> AccountDocument:
    """Show an account."""
    return await _shown(services, name)


@router.patch("/{name}")
async def change_account(
    name: Name, given: AccountChange, token: Clerk, services: Services
) -> AccountDocument:
    """Change an account's data, preferences and quota."""
    default_ring = "ring_seconds" in given.model_fields_set and given.ring_seconds is None
    change = ProfileChange(
        full_name=given.full_name,
        timezone=given.timezone,
        language=given.language,
        quota_octets=given.quota_octets,
        voicemail=given.voicemail,
        ring_seconds=given.ring_seconds,
        default_ring=default_ring,
        contact=given.contact.model_dump(exclude_none=True) if given.contact else {},
    )
    await services.profiles.change(name, change, actor=actor(token))
    return await _shown(services, name)


@router.put("/{name}/name")
async def rename_account(
    name: Name, given: NewName, token: Clerk, services: Services
) -> AccountDocument:
    """Give an account another login name; its numbers stay."""
    return await _moved(
        services, await services.profiles.rename(name, given.name, actor=actor(token))
    )


@router.post("/{name}/suspend")
async def suspend(name: Name, given: Reason, token: Clerk, services: Services) -> AccountDocument:
    """Make an account read-only, with the reason shown to its owner."""
    return await _moved(
        services, await services.accounts.suspend(name, reason=given.reason, actor=actor(token))
    )


@router.post("/{name}/resume")
async def resume(
    name: Name, token: Clerk, services: Services, given: Reason | None = None
) -> AccountDocument:
    """End a suspension."""
    reason = given.reason if given else ""
    return await _moved(
        services, await services.accounts.resume(name, reason=reason, actor=actor(token))
    )


@router.post("/{name}/close")
async def close(name: Name, given: Reason, token: Clerk, services: Services) -> AccountDocument:
    """End the service: everything is kept until the purge date, which is fixed now."""
    return await _moved(
        services, await services.accounts.close(name, reason=given.reason, actor=actor(token))
    )


@router.post("/{name}/reopen")
async def reopen(
    name: Name, token: Clerk, services: Services, given: Reason | None = None
) -> AccountDocument:
    """Undo a closure, with everything in place."""
    reason = given.reason if given else ""
    return await _moved(
        services, await services.accounts.reopen(name, reason=reason, actor=actor(token))
    )


@router.put("/{name}/password", status_code=204)
async def set_password(name: Name, given: PasswordToSet, token: Clerk, services: Services) -> None:
    """Set the password; all sessions of the account end."""
    password = given.password.get_secret_value()
    await services.accounts.set_password(
        name, password, actor=actor(token), end_app_passwords=given.end_app_passwords
    )


@router.put("/{name}/pin", status_code=204)
async def set_pin(name: Name, given: PinToSet, token: Clerk, services: Services) -> None:
    """Set the PIN of the telephone menu, and lift its lock."""
    await services.accounts.set_pin(name, given.pin.get_secret_value(), actor=actor(token))


@router.delete("/{name}/pin", status_code=204)
async def clear_pin(name: Name, token: Clerk, services: Services) -> None:
    """Remove the PIN: the next call from the own line sets a new one."""
    await services.accounts.clear_pin(name, actor=actor(token))


@router.put("/{name}/legal-hold")
async def set_legal_hold(
    name: Name, given: LegalHold, token: Clerk, services: Services
) -> AccountDocument:
    """Keep everything of the account from being deleted, whoever asks, or end that."""
    return await _moved(
        services,
        await services.accounts.set_legal_hold(
            name, on=given.on, reason=given.reason, actor=actor(token)
        ),
    )


@router.get("/{name}/audit")
async def show_audit(
    name: Name,
    _: Reader,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: LogCursor = None,
) -> AuditPage:
    """Show who did what to an account, the latest first."""
    log = await services.records.audit(name)
    shown, following = latest_first(log, limit=limit, after=after)
    return AuditPage(records=[AuditDocument.of(each) for each in shown], next=following)


async def _shown(services: WebServices, name: str) -> AccountDocument:
    return AccountDocument.of(await services.accounts.show(name))


async def _moved(services: WebServices, account: Account) -> AccountDocument:
    return await _shown(services, account.name)
