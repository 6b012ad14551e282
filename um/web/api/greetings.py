"""What callers hear: one's own recordings, as files of any audio format."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from um.core.account import GreetingKind
from um.service.own_greetings import LONGEST_SECONDS, MAX_OCTETS
from um.web.api.documents import Document
from um.web.api.own_account import OWNER
from um.web.bodies import read_body
from um.web.downloads import OCTETS, download
from um.web.guards import Customer, Writer
from um.web.services import Services

router = APIRouter(prefix="/me/greetings", tags=["greetings"])
Kind = Annotated[GreetingKind, Path()]
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"An audio file of any usual format, of at most {LONGEST_SECONDS} seconds.",
        "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class GreetingDocument(Document):
    """A kind of greeting, and whether there is a recording of it."""

    kind: GreetingKind
    recorded: bool


@router.get("")
async def list_greetings(visitor: Customer, services: Services) -> list[GreetingDocument]:
    """List the kinds of greetings; where nothing is recorded, the default is spoken."""
    recorded = await services.greetings.kinds(visitor.account.id)
    return [GreetingDocument(kind=kind, recorded=kind in recorded) for kind in GreetingKind]


@router.get("/{kind}", response_class=Response, responses={200: {"content": {"audio/wav": {}}}})
async def save_greeting(
    kind: Kind, request: Request, visitor: Customer, services: Services
) -> Response:
    """Download a recording, as callers hear it."""
    data = await services.greetings.get(visitor.account.id, kind)
    return download(request, data, media_type="audio/wav", filename=f"greeting-{kind}.wav")


@router.put("/{kind}", status_code=204, openapi_extra=_FILE)
async def upload_greeting(
    kind: Kind, request: Request, visitor: Writer, services: Services
) -> None:
    """Record a greeting, in place of an earlier one, from a file."""
    data = await read_body(request, most_octets=MAX_OCTETS)
    await services.greetings.put(visitor.account.id, kind, data, actor=OWNER)


@router.delete("/{kind}", status_code=204)
async def delete_greeting(kind: Kind, visitor: Writer, services: Services) -> None:
    """Remove a recording: the default is spoken again."""
    await services.greetings.delete(visitor.account.id, kind, actor=OWNER)
