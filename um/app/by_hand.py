"""What an operator delivers with `um deliver`, through the same code as calls and mail."""

from um.app.applications import fax_service, voicemail_service
from um.app.services import Services
from um.core.account import Account, NumberUse
from um.core.ids import E164, IngestKey
from um.core.message import MessageKind
from um.mime.given import as_mail
from um.service.accounts import AccountOverview
from um.service.delivery import Delivered
from um.service.numbers import normal_number
from um.smtp.inbound import InboundSettings
from um.smtp.reception import Client, Limits, Reception

OPERATOR = Client(address="127.0.0.1", helo="localhost", protocol="LMTP", trusted=True)


async def deliver_voice(
    services: Services, name: str, data: bytes, caller: str, caller_name: str
) -> Delivered:
    """An audio file of any format. Raises RefusedDocumentError and what a delivery raises."""
    overview = await services.accounts.show(name)
    return await voicemail_service(services).deliver_file(
        overview.account,
        data,
        number=_number(overview, NumberUse.VOICE),
        caller_number=normal_number(caller, services.settings.default_region),
        caller_name=caller_name,
    )


async def deliver_fax(
    services: Services, name: str, data: bytes, caller: str, caller_name: str
) -> Delivered:
    """A TIFF, or a PDF by way of Ghostscript. Raises as `deliver_voice`."""
    overview = await services.accounts.show(name)
    fax = fax_service(services)
    try:
        return await fax.deliver_document(
            overview.account,
            data,
            number=_number(overview, NumberUse.FAX),
            caller_number=normal_number(caller, services.settings.default_region),
            caller_name=caller_name,
        )
    finally:
        await fax.close()


async def deliver_mail(services: Services, name: str, data: bytes, kind: MessageKind) -> Delivered:
    """A message of RFC 5322 with any line ends, as ordinary mail or as an invoice.

    The operator is its envelope sender. Raises RefusedDocumentError if it is no message.
    """
    overview = await services.accounts.show(name)
    return await take_mail(services, overview.account, data, kind)


async def take_mail(
    services: Services,
    account: Account,
    data: bytes,
    kind: MessageKind,
    *,
    key: IngestKey | None = None,
) -> Delivered:
    """As `deliver_mail`, for an account that is known; `key` makes it happen once."""
    config = services.ports.config
    sender = f"postmaster@{config.server.domain}"
    data = as_mail(data)
    bounds = InboundSettings(domain=config.server.domain)
    reception = Reception(
        services.directory,
        services.delivery,
        services.ports.clock,
        services.ports.metrics,
        domain=config.server.domain,
        invoice_senders={sender} if kind is MessageKind.INVOICE else (),
        limits=Limits(bounds.max_received, bounds.max_line_octets),
    )
    prepared = await reception.prepare(data, sender, OPERATOR)
    return await reception.deliver(prepared, account, key=key)


class InvoiceMail:
    """`um.service.invoices.InvoiceReception`: invoices of the API go the way of mail."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def take(self, account: Account, data: bytes, *, key: IngestKey | None) -> Delivered:
        """Deliver an invoice. Raises RefusedDocumentError, and what mail and delivery raise."""
        return await take_mail(self._services, account, data, MessageKind.INVOICE, key=key)


def _number(overview: AccountOverview, use: NumberUse) -> E164:
    """The account's first number for that use, else its first; empty if it has none.

    An account may have no number: its messages are then addressed to its name.
    """
    fitting = [each for each in overview.numbers if each.use in (use, NumberUse.BOTH)]
    return next((each.e164 for each in fitting or overview.numbers), E164(""))
