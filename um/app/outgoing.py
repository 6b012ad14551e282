"""Mail out and webhooks: the sender as a part of this process, with the adapters it needs."""

import asyncio
from contextlib import suppress

import structlog

from storage.backend import database_url
from um.app.ports import database_of
from um.app.services import Services
from um.config import Config
from um.config.relay import parse_relay
from um.core.errors import UMError
from um.core.events import OutboxFilled
from um.service.forward.sender import Sender
from um.smtp.outbound import SmtpRelay
from um.web.webhook import HttpWebhooks

log = structlog.get_logger(__name__)

EVERY_SECONDS = 5.0
"""How often the outbox is looked at for what is due again, and for rows of other processes."""
GRACE_SECONDS = 20.0
"""For mails that are being handed over when we stop: a lost answer would be a mail sent twice."""


def make_sender(services: Services) -> Sender:
    """The sender over the configured relay."""
    ports, config = services.ports, services.ports.config
    relay = SmtpRelay(
        parse_relay(config.smtp.relay.value), config.server.domain, metrics=ports.metrics
    )
    return Sender(
        ports.store,
        ports.blobs,
        ports.clock,
        relay,
        HttpWebhooks(allowed=config.web.webhook_networks),
        services.forward.composer,
        services.forward.failures,
        services.forward.signer,
        steps=ports.steps,
        metrics=ports.metrics,
    )


class Outgoing:
    """Runs the sender: when something was written here, and every EVERY_SECONDS."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sender = make_sender(services)
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. Over SQLite there is no other sender: what a dead one had leased is free again."""
        bus = self._services.ports.bus
        bus.subscribe(OutboxFilled, lambda _: self._wake.set())
        if is_alone(self._services.ports.config):
            await self._sender.release()
        self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """Let what is being handed over end, within GRACE_SECONDS."""
        self._stopping = True
        self._sender.close()
        self._wake.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, GRACE_SECONDS)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._sender.tick()
            except UMError as error:
                log.warning("outbox not read", error=error.code)
            except Exception:
                log.exception("outbox failed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), EVERY_SECONDS)


def is_alone(config: Config) -> bool:
    """Whether this server is the only one on its database."""
    return database_url(database_of(config)).get_backend_name() == "sqlite"
