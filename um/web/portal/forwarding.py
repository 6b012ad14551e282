"""What of new messages goes to addresses outside."""

from fastapi import APIRouter, Request, Response

from um.core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    InvalidError,
    LockedOutError,
)
from um.core.forwarding import AfterCopy, CopyMode, CopyRule
from um.policy.forwarding import KINDS, MAX_ADDRESSES
from um.service.web_sessions import Visitor
from um.web.again import check_again
from um.web.api.own_account import OWNER
from um.web.guards import Customer
from um.web.portal.forms import WritableForm, choice
from um.web.portal.render import moved, page
from um.web.portal.trouble import reason
from um.web.portal.wording import wording
from um.web.services import Services, WebServices

router = APIRouter(prefix="/forwarding")
PATH = "/forwarding"
MODES = {each.value: each for each in CopyMode}
AFTERS = {each.value: each for each in AfterCopy}
REFUSALS = {
    "authentication-failed": ("error.wrong_password", 403),  # 401 would ask for another login
    "locked-out": ("error.locked", 429),
    "already-exists": ("error.invalid_address", 422),
    "invalid": ("error.invalid_address", 422),
}


@router.get("")
async def forwarding_page(request: Request, visitor: Customer, services: Services) -> Response:
    """Addresses and rules."""
    return await _page(request, visitor, services)


@router.post("")
async def change_rules(form: WritableForm, services: Services) -> Response:
    """Sets the rule of each kind."""
    for kind in KINDS:
        mode = choice(form.text(f"mode-{kind}"), MODES)
        after = choice(form.text(f"after-{kind}"), AFTERS)
        rule = CopyRule(MODES[mode], AFTERS[after])
        await services.forward_rules.set(form.visitor.account.id, kind, rule, actor=OWNER)
    return moved(PATH, "saved")


@router.post("/addresses")
async def add_address(request: Request, form: WritableForm, services: Services) -> Response:
    """Mails a link to an address, a new one or one that is not confirmed."""
    visitor = form.visitor
    try:
        proof = await check_again(services, visitor, form.secret("current"), request)
        await services.address_book.add(
            visitor.account.id, form.text("address", most=254), actor=OWNER, proof=proof
        )
    except (AuthenticationError, LockedOutError, AlreadyExistsError, InvalidError) as error:
        words = wording(visitor.account.language)
        key, status = REFUSALS[error.code]
        said = reason(words, error) if error.why else words(key)
        return await _page(request, visitor, services, error=said, status=status)
    return moved(PATH, "address")


@router.post("/addresses/remove")
async def remove_address(form: WritableForm, services: Services) -> Response:
    """Takes one away, with what waits for it."""
    address = form.text("address", most=254)
    await services.address_book.remove(form.visitor.account.id, address, actor=OWNER)
    return moved(PATH, "address_removed")


async def _page(
    request: Request, visitor: Visitor, services: WebServices, *, error: str = "", status: int = 200
) -> Response:
    account_id = visitor.account.id
    rules = await services.forward_rules.every(account_id)
    return await page(
        request,
        visitor,
        "forwarding",
        status=status,
        error=error,
        path=PATH,
        addresses=await services.address_book.every(account_id),
        rules=[(kind.value, rules[kind]) for kind in KINDS],
        modes=list(MODES),
        afters=list(AFTERS),
        most=MAX_ADDRESSES,
    )
