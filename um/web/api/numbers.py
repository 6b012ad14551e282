"""The operator's telephone numbers: given, taken away, freed."""

from typing import Annotated

from fastapi import APIRouter, Path

from um.web.api.accounts import Name, NewNumber
from um.web.api.documents import NumberDocument
from um.web.guards import Clerk, Reader, actor
from um.web.services import Services

router = APIRouter(tags=["operator"])
PathNumber = Annotated[str, Path(min_length=1, max_length=40)]


@router.get("/accounts/{name}/numbers")
async def list_numbers(name: Name, _: Reader, services: Services) -> list[NumberDocument]:
    """List the numbers of an account."""
    return [NumberDocument.of(each) for each in await services.numbers.every(name)]


@router.post("/accounts/{name}/numbers", status_code=201)
async def add_number(
    name: Name, given: NewNumber, token: Clerk, services: Services
) -> NumberDocument:
    """Give the account a number, or give it back while it is held."""
    added = await services.numbers.add(name, given.number, use=given.use, actor=actor(token))
    return NumberDocument.of(added)


@router.delete("/accounts/{name}/numbers/{number}")
async def remove_number(
    name: Name, number: PathNumber, token: Clerk, services: Services
) -> NumberDocument:
    """Take a number away; it is held from others for a while."""
    return NumberDocument.of(await services.numbers.remove(name, number, actor=actor(token)))


@router.delete("/numbers/{number}", status_code=204)
async def free_number(number: PathNumber, token: Clerk, services: Services) -> None:
    """End the hold of a number early: it was ported out."""
    await services.numbers.free(number, actor=actor(token))
