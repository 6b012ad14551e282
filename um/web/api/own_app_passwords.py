"""Passwords of single mail programs: made, shown once, taken back one by one."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, Field

from um.core.ids import CredentialId
from um.service.recipients import by_id
from um.web.again import check_again
from um.web.api.documents import Document, Given
from um.web.api.own_account import OWNER, Secret
from um.web.guards import Customer, Writer
from um.web.services import Services

router = APIRouter(prefix="/me/app-passwords", tags=["app passwords"])


class AppPasswordDocument(Document):
    """A mail program's password, without what it opens with."""

    id: str
    label: str
    created_at: AwareDatetime
    used_at: AwareDatetime | None


class NewAppPassword(Given):
    """What it is for."""

    label: Annotated[str, Field(min_length=1, max_length=60)]
    password: Secret
    """The account's: a stolen session shall make no way in that outlives it."""


class ShownPassword(Document):
    """A new password, which is not shown again."""

    password: str


@router.get("")
async def list_app_passwords(visitor: Customer, services: Services) -> list[AppPasswordDocument]:
    """List the passwords of mail programs."""
    return [
        AppPasswordDocument(
            id=each.id, label=each.label, created_at=each.created_at, used_at=each.used_at
        )
        for each in await services.app_passwords.every(by_id(visitor.account.id))
    ]


@router.post("", status_code=201)
async def add_app_password(
    given: NewAppPassword, request: Request, visitor: Writer, services: Services
) -> ShownPassword:
    """Make a password for one mail program."""
    proof = await check_again(services, visitor, given.password.get_secret_value(), request)
    made = await services.app_passwords.add(
        by_id(visitor.account.id), given.label, actor=OWNER, proof=proof
    )
    return ShownPassword(password=made)


@router.delete("/{password_id}", status_code=204)
async def remove_app_password(
    password_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
    visitor: Writer,
    services: Services,
) -> None:
    """Take one back: it opens nothing more, and what it had opened ends."""
    await services.app_passwords.remove(
        by_id(visitor.account.id), CredentialId(password_id), actor=OWNER
    )
