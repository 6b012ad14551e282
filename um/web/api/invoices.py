"""Invoices of billing: one by one, as a mail or as a PDF, or many at once."""

import asyncio
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request, Response
from pydantic import AwareDatetime, Base64Bytes, Field, ValidationError

from um.core.errors import InvalidError, UMError
from um.service.delivery import Delivered
from um.service.invoices import MAX_OCTETS, Giver, InvoiceDocument
from um.web.api.accounts import Name
from um.web.api.documents import Document, Given, Line, faults, inlined
from um.web.api.messages import message_id
from um.web.bodies import read_body
from um.web.guards import Depositor
from um.web.problems import status_of
from um.web.services import Services

router = APIRouter(tags=["operator"])

GivenT = TypeVar("GivenT", bound=Given)
MAX_BULK = 100
MAX_BULK_OCTETS = 64 * 1024 * 1024
BASE64_OCTETS = MAX_OCTETS * 4 // 3 + 64 * 1024
IdempotencyKey = Annotated[str | None, Header(max_length=255, min_length=1)]
"""Makes a deposit happen once, for a day: the same key answers with the first one's result."""


class InvoiceToDrop(Given):
    """An invoice as a PDF with its facts; `message` in place of all of them is a whole mail."""

    number: Line = ""
    pdf: Base64Bytes | None = None
    message: Base64Bytes | None = None
    """RFC 5322."""
    issued_at: AwareDatetime | None = None
    subject: Line = ""
    amount: Line = ""
    """With its currency, as it is to be shown."""
    due: Line = ""
    text: Annotated[str, Field(max_length=20_000)] = ""

    def document(self) -> bytes | InvoiceDocument:
        """As the service takes it. Raises InvalidError."""
        if (self.pdf is None) == (self.message is None):
            raise InvalidError("An invoice has either pdf or message")
        if self.message is not None:
            return self.message
        if not self.number or self.pdf is None:
            raise InvalidError("An invoice as a PDF has a number")
        return InvoiceDocument(
            number=self.number,
            pdf=self.pdf,
            issued_at=self.issued_at,
            subject=self.subject,
            amount=self.amount,
            due=self.due,
            text=self.text,
        )


class BulkInvoice(InvoiceToDrop):
    """One of many."""

    account: Annotated[str, Field(min_length=1, max_length=320)]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255)]


class Bulk(Given):
    """Many invoices; each succeeds or fails by itself."""

    invoices: Annotated[list[BulkInvoice], Field(min_length=1, max_length=MAX_BULK)]


class DroppedInvoice(Document):
    """Where an invoice is."""

    account: str
    message: str
    """The message's id in the customer's API, where it was put."""


class BulkResult(Document):
    """What became of one of many."""

    account: str
    idempotency_key: str
    status: int
    """As HTTP would say it: 201, 200 for one that was there already, 404, 507 and so on."""
    message: str | None
    code: str | None
    detail: str | None


class BulkResults(Document):
    """In the order in which they were given."""

    results: list[BulkResult]


def _body(schema: type[Given], **more: Any) -> dict[str, Any]:
    """The part of the OpenAPI document about a body that is read only after authorisation."""
    of_json = inlined(schema.model_json_schema())
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": of_json}, **more},
        }
    }


_ONE = _body(
    InvoiceToDrop, **{"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}
)
_MANY = _body(Bulk)


@router.post(
    "/accounts/{name}/invoices",
    status_code=201,
    openapi_extra=_ONE,
    responses={200: {"description": "It was there already", "model": DroppedInvoice}},
)
async def drop_invoice(
    name: Name,
    request: Request,
    response: Response,
    token: Depositor,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> DroppedInvoice:
    """Put an invoice into an account: a mail (`message/rfc822`), or JSON with a PDF."""
    body = await read_body(request, most_octets=BASE64_OCTETS)
    invoice: bytes | InvoiceDocument = body
    if not _is(request, "message/rfc822"):
        invoice = (await _read(InvoiceToDrop, request, body)).document()
    delivered = await services.invoices.drop(
        name, invoice, Giver(token_id=token.id, key=idempotency_key)
    )
    response.status_code = _status(delivered)
    return DroppedInvoice(account=name, message=message_id(delivered.mailbox_id, delivered.uid))


@router.post("/invoices", openapi_extra=_MANY)
async def drop_invoices(request: Request, token: Depositor, services: Services) -> BulkResults:
    """Put many invoices into their accounts; what failed may be given again with the same keys."""
    body = await read_body(request, most_octets=MAX_BULK_OCTETS)
    bulk = await _read(Bulk, request, body)
    results = []
    for each in bulk.invoices:
        giver = Giver(token_id=token.id, key=each.idempotency_key)
        results.append(await _dropped(services, each, giver))
    return BulkResults(results=results)


async def _dropped(services: Services, given: BulkInvoice, giver: Giver) -> BulkResult:
    try:
        delivered = await services.invoices.drop(given.account, given.document(), giver)
    except UMError as error:
        return BulkResult(
            account=given.account,
            idempotency_key=given.idempotency_key,
            status=status_of(type(error)),
            message=None,
            code=error.code,
            detail=error.public,
        )
    return BulkResult(
        account=given.account,
        idempotency_key=given.idempotency_key,
        status=_status(delivered),
        message=message_id(delivered.mailbox_id, delivered.uid),
        code=None,
        detail=None,
    )


async def _read(model: type[GivenT], request: Request, body: bytes) -> GivenT:
    if not _is(request, "application/json"):
        raise InvalidError("The body is application/json or, for one invoice, message/rfc822")
    try:
        return await asyncio.to_thread(model.model_validate_json, body)
    except ValidationError as error:
        raise InvalidError(faults(error.errors(include_url=False))) from error


def _is(request: Request, media_type: str) -> bool:
    given = request.headers.get("content-type", "").partition(";")[0]
    return given.strip().lower() == media_type


def _status(delivered: Delivered) -> int:
    return 200 if delivered.duplicate else 201
