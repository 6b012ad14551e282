"""What leaves the house for an account, as the operator sees it: addresses, rules, webhook, queue."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from um.core.errors import NotFoundError
from um.core.forwarding import CopyRule, OutboxEntry, OutboxState, Purpose
from um.core.ids import AccountId
from um.core.message import MessageKind
from um.service.forward.rules import MAX_URL, Webhook
from um.web.api.accounts import Name
from um.web.api.documents import Document, Given
from um.web.api.own_forwarding import AddressDocument, RuleDocument
from um.web.guards import Clerk, Reader, actor
from um.web.services import Services, WebServices

router = APIRouter(prefix="/accounts/{name}", tags=["operator"])


class AccountForwarding(Document):
    """Where copies of an account's messages go."""

    addresses: list[AddressDocument]
    rules: dict[MessageKind, RuleDocument]
    webhook: str | None
    """Where its events are posted; null: nowhere."""


class WebhookUrl(Given):
    """Where events shall be posted: https, or http to a loopback address."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)]


class WebhookDocument(Document):
    """A webhook without what signs its events, which is told once, when it is set."""

    url: str
    waiting: int
    """Events that have not been taken yet, of the latest rows of the queue."""
    last_error: str
    """Why the latest of them was not taken; empty if nothing is wrong."""


class WebhookSecret(Document):
    """A webhook that was set just now."""

    url: str
    secret: str
    """Signs `X-UM-Signature`. Set the URL again for another secret."""


class TrialDocument(Document):
    """What became of a test event."""

    event_id: str
    taken: bool
    """The other side answered 2xx."""
    answer: str
    """Why not; empty if it was taken."""


class QueuedDocument(Document):
    """Something that leaves, or left: kept for some days after its end."""

    id: str
    purpose: Purpose
    target: str
    state: OutboxState
    created_at: AwareDatetime
    next_try: AwareDatetime | None
    """Null once it has ended."""
    attempts: int
    last_error: str
    finished_at: AwareDatetime | None

    @classmethod
    def of(cls, row: OutboxEntry) -> "QueuedDocument":
        """Over the wire: no link, no event's content."""
        return cls(
            id=row.id,
            purpose=row.purpose,
            target=row.target,
            state=row.state,
            created_at=row.created_at,
            next_try=row.next_try if row.state is OutboxState.WAITING else None,
            attempts=row.attempts,
            last_error=row.last_error,
            finished_at=row.finished_at,
        )


@router.get("/forwarding")
async def show_forwarding(name: Name, _: Reader, services: Services) -> AccountForwarding:
    """Show addresses outside, rules and webhook of an account."""
    account_id = await _id(services, name)
    webhook = await services.forward_rules.webhook(account_id)
    rules = await services.forward_rules.every(account_id)
    found = await services.address_book.every(account_id)
    return AccountForwarding(
        addresses=[AddressDocument.of(each) for each in found],
        rules={kind: RuleDocument(mode=r.mode, after=r.after) for kind, r in rules.items()},
        webhook=webhook.url if webhook else None,
    )


@router.delete("/forwarding/addresses/{address}", status_code=204)
async def remove_address(
    name: Name,
    address: Annotated[str, Path(max_length=254)],
    token: Clerk,
    services: Services,
) -> None:
    """Remove an address outside, with what still waits for it. Only its owner can add one."""
    account_id = await _id(services, name)
    await services.address_book.remove(account_id, address, actor=actor(token))


@router.put("/forwarding/rules/{kind}", status_code=204)
async def set_rule(
    name: Name, kind: MessageKind, given: RuleDocument, token: Clerk, services: Services
) -> None:
    """Set what of one kind goes to the confirmed addresses; `off` ends it."""
    rule = CopyRule(given.mode, given.after)
    await services.forward_rules.set(await _id(services, name), kind, rule, actor=actor(token))


@router.get("/outbox")
async def list_outbox(
    name: Name,
    _: Reader,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[QueuedDocument]:
    """List what leaves for an account, the newest first, with how it ended."""
    rows = await services.outbox.of_account(await _id(services, name), limit=limit)
    return [QueuedDocument.of(each) for each in rows]


@router.get("/webhook")
async def show_webhook(name: Name, _: Reader, services: Services) -> WebhookDocument:
    """Show where an account's events are posted, and whether they arrive. 404: nowhere."""
    account_id = await _id(services, name)
    webhook = await _webhook(services, account_id)
    rows = [
        each
        for each in await services.outbox.of_account(account_id, limit=500)
        if each.purpose is Purpose.WEBHOOK and each.target == webhook.url
    ]
    return WebhookDocument(
        url=webhook.url,
        waiting=sum(each.state is OutboxState.WAITING for each in rows),
        last_error=next((each.last_error for each in rows if each.attempts), ""),
    )


@router.put("/webhook")
async def set_webhook(
    name: Name, given: WebhookUrl, token: Clerk, services: Services
) -> WebhookSecret:
    """Post an account's events to a URL from now on; the secret that signs them is told this once."""
    account_id = await _id(services, name)
    await services.forward_rules.set_webhook(account_id, given.url, actor=actor(token))
    webhook = await _webhook(services, account_id)
    return WebhookSecret(url=webhook.url, secret=webhook.secret)


@router.delete("/webhook", status_code=204)
async def remove_webhook(name: Name, token: Clerk, services: Services) -> None:
    """Post no more events; what waits is dropped."""
    account_id = await _id(services, name)
    await _webhook(services, account_id)
    await services.forward_rules.set_webhook(account_id, None, actor=actor(token))


@router.post("/webhook/test")
async def try_webhook(name: Name, _: Clerk, services: Services) -> TrialDocument:
    """Post a test event to the webhook now, signed as all are, and tell what came of it."""
    account = (await services.accounts.show(name)).account
    trial = await services.webhook_trials.post(account.id, account.name)
    return TrialDocument(event_id=trial.event_id, taken=trial.taken, answer=trial.answer)


async def _id(services: WebServices, name: str) -> AccountId:
    return (await services.accounts.show(name)).account.id


async def _webhook(services: WebServices, account_id: AccountId) -> Webhook:
    found = await services.forward_rules.webhook(account_id)
    if found is None:
        raise NotFoundError("The account has no webhook")
    return found
