"""One's own account: what it is, contact data, preferences, password, PIN, events."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, SecretStr

from um.core.account import AccountState
from um.core.message import MessageKind
from um.service.accounts import AccountOverview
from um.service.profile import ProfileChange
from um.service.recipients import by_id
from um.service.web_sessions import Visitor
from um.web.again import check_again
from um.web.api.documents import Document, Given, Line, NumberDocument
from um.web.guards import COOKIE, Customer, Writer
from um.web.services import Services, WebServices

router = APIRouter(prefix="/me", tags=["account"])
OWNER = "owner"
"""Who did it, for the audit log."""

Secret = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
Pin = Annotated[SecretStr, Field(min_length=1, max_length=32)]


class Contact(Given):
    """Where the owner lives; an empty text removes an item."""

    company: Line | None = None
    street: Line | None = None
    postal_code: Line | None = None
    city: Line | None = None
    country: Line | None = None
    phone: Line | None = None
    mobile: Line | None = None


class OwnAccount(Document):
    """An account as its owner sees it."""

    name: str
    address: str
    """The mail address of the mailbox."""
    full_name: str
    state: AccountState
    notice: str
    """Why it is read-only."""
    timezone: str
    language: str
    voicemail: bool
    ring_seconds: int | None
    """Null: as the operator's default says."""
    has_pin: bool
    numbers: list[NumberDocument]
    used_octets: int
    quota_octets: int
    messages: dict[MessageKind, int]
    contact: dict[str, str]


class OwnChange(Given):
    """What shall be different; what is left out stays as it is."""

    full_name: Line | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = None
    language: Annotated[str, Field(max_length=3)] | None = None
    voicemail: bool | None = None
    ring_seconds: Annotated[int, Field(ge=0, le=180)] | None = None
    """Null: the operator's default again."""
    contact: Contact | None = None


class NewName(Given):
    """A login name; it is the local part of the mail address, too."""

    name: Annotated[str, Field(min_length=1, max_length=64)]


class NewPassword(Given):
    """The password of the portal and of mail programs."""

    old_password: Secret
    new_password: Secret
    end_app_passwords: bool = False
    """Those of mail programs, too: for who fears that somebody knows them."""


class NewPin(Given):
    """The PIN of the telephone menu."""

    password: Secret
    """The account's password: the old PIN may be forgotten."""
    pin: Pin


@router.get("")
async def show_account(visitor: Customer, services: Services) -> OwnAccount:
    """Show the account."""
    return await _shown(services, visitor)


@router.patch("")
async def change_account(given: OwnChange, visitor: Writer, services: Services) -> OwnAccount:
    """Change contact data and preferences."""
    fields = given.model_fields_set
    contact = given.contact.model_dump(exclude_none=True) if given.contact else {}
    change = ProfileChange(
        full_name=given.full_name,
        timezone=given.timezone,
        language=given.language,
        voicemail=given.voicemail,
        ring_seconds=given.ring_seconds,
        default_ring="ring_seconds" in fields and given.ring_seconds is None,
        contact=contact,
    )
    await services.profiles.change(by_id(visitor.account.id), change, actor=OWNER)
    return await _shown(services, visitor)


@router.put("/name")
async def rename_account(given: NewName, visitor: Writer, services: Services) -> OwnAccount:
    """Choose another login name; numbers and sessions stay."""
    await services.profiles.rename(by_id(visitor.account.id), given.name, actor=OWNER)
    return await _shown(services, visitor)


@router.put("/password", status_code=204)
async def change_password(
    given: NewPassword, request: Request, visitor: Writer, services: Services
) -> None:
    """Set a new password; all other sessions of the account end."""
    proof = await check_again(services, visitor, given.old_password.get_secret_value(), request)
    await services.accounts.set_password(
        by_id(visitor.account.id),
        given.new_password.get_secret_value(),
        actor=OWNER,
        keep_session=visitor.session.secret_hash,
        end_app_passwords=given.end_app_passwords,
        proof=proof,
    )


@router.put("/pin", status_code=204)
async def change_pin(given: NewPin, request: Request, visitor: Writer, services: Services) -> None:
    """Set a new PIN; a lock of the old one is lifted."""
    proof = await check_again(services, visitor, given.password.get_secret_value(), request)
    pin = given.pin.get_secret_value()
    await services.accounts.set_pin(by_id(visitor.account.id), pin, actor=OWNER, proof=proof)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def listen(request: Request, visitor: Customer, services: Services) -> Response:
    """Be told of changes: `mailbox` events name a folder's id, `account` means the rest, or all.

    The stream ends, with `bye`, when the session does.
    """
    cookie = request.cookies[COOKIE]

    async def alive() -> bool:
        return await services.sessions.find(cookie, touch=False) is not None

    services.streams.check_room(visitor.account.id)
    return StreamingResponse(
        services.streams.events(visitor.account.id, alive),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


async def _shown(services: WebServices, visitor: Visitor) -> OwnAccount:
    overview = await services.accounts.show(by_id(visitor.account.id))
    return _own(overview, visitor, await services.profiles.contact(by_id(visitor.account.id)))


def _own(overview: AccountOverview, visitor: Visitor, contact: dict[str, str]) -> OwnAccount:
    account = overview.account
    return OwnAccount(
        name=account.name,
        address=f"{account.name}@{account.domain}",
        full_name=account.full_name,
        state=account.state,
        notice=visitor.notice,
        timezone=account.timezone,
        language=account.language,
        voicemail=account.voicemail_enabled,
        ring_seconds=account.ring_seconds,
        has_pin=account.pin_hash is not None,
        numbers=[NumberDocument.of(each) for each in overview.numbers],
        used_octets=overview.usage.used_octets,
        quota_octets=overview.usage.limit_octets,
        messages=overview.counts,
        contact=contact,
    )
