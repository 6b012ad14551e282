"""The smtp role: mail in by LMTP and SMTP."""

import asyncio
import ssl

from um.app.edges import Bound
from um.app.services import Services
from um.config import Config, Listen
from um.smtp.inbound import InboundSettings, MailIn

GRACE_SECONDS = 20.0
"""For messages that are being received when we stop; their senders keep what we did not take."""


class MailEdge:
    """[smtp] `listen_lmtp` and `listen_smtp`."""

    def __init__(self, services: Services, tls: ssl.SSLContext) -> None:
        ports = services.ports
        self._config = ports.config.smtp
        self._mail = MailIn(
            inbound_settings(ports.config),
            services.directory,
            services.delivery,
            ports.clock,
            ports.metrics,
            returned=services.forward.bounces,
            tls_context=tls,
            steps=ports.steps,
        )

    async def start(self) -> Bound:
        """Listen. Raises OSError if an address is taken."""
        lmtp = [await self._listen(each, lmtp=True) for each in self._config.listen_lmtp]
        smtp = [await self._listen(each, lmtp=False) for each in self._config.listen_smtp]
        return {"lmtp": lmtp, "smtp": smtp}

    async def stop(self) -> None:
        """Let running messages end, then close."""
        await self._mail.stop(grace_seconds=GRACE_SECONDS)

    async def _listen(self, address: Listen, *, lmtp: bool) -> str:
        loop = asyncio.get_running_loop()
        server = await self._mail.listen(loop, address.host, address.port, lmtp=lmtp)
        return str(Listen(address.host, server.sockets[0].getsockname()[1]))


def inbound_settings(config: Config) -> InboundSettings:
    """What the configuration says about mail in."""
    return InboundSettings(
        domain=config.server.domain,
        invoice_senders=config.smtp.invoice_senders,
        trusted_clients=config.smtp.trusted_clients,
    )
