"""The web role: portal and API over HTTPS; health, metrics and the core's questions on a plain port."""

import ssl
from functools import partial
from pathlib import Path

from um.app.by_hand import InvoiceMail
from um.app.edges import Bound
from um.app.outgoing import is_alone
from um.app.portal import portal_desk
from um.app.ports import Ports
from um.app.services import Services
from um.app.timers import Timers
from um.config import Config, ConfigurationError, contains
from um.config.models import WebConfig
from um.service.export import Exporter
from um.service.forward.trial import WebhookTrials
from um.service.invoices import InvoiceDrop
from um.service.message_list import MessageList
from um.service.message_parts import MessageParts
from um.service.own_greetings import OwnGreetings
from um.web.application import web_app
from um.web.core import core_router
from um.web.forwarded import forwarded_routes
from um.web.health import (
    Check,
    database_answers,
    folder_is_writable,
    has_free_space,
    purge_held,
)
from um.web.metrics import PrometheusMetrics
from um.web.patience import Patience
from um.web.plain import plain_app
from um.web.portal import error_page, portal_pages
from um.web.server import HttpServer
from um.web.services import WebServices
from um.web.streams import Streams
from um.web.webhook import HttpWebhooks
from voicemail.files import ConvertedFiles

LEAST_TOKEN_CHARACTERS = 16
RESUME_SECONDS = 300.0
"""How often exports are looked for that a process which is gone was making: it reads all preferences."""
SWEEP_SECONDS = 3600.0
"""How often exports whose day is over are looked for."""


class WebEdge:
    """[web] `listen` and `listen_tls`. Raises ConfigurationError for a token file that cannot serve."""

    def __init__(self, services: Services, metrics: PrometheusMetrics, tls: ssl.SSLContext) -> None:
        ports = services.ports
        config = ports.config.web
        plain = plain_app(
            health_checks(ports),
            metrics,
            lambda host: contains(config.trusted_clients, host),
            notices={"purge": purge_held(services.purge_clock)},
            core=core_router(services.core_desk),
            core_token=read_token(config.core_token_file),
            public_url=public_url(config),
        )
        forward, web = services.forward, web_services(services)
        secure = web_app(
            web,
            forwarded_routes(forward.links, forward.book),
            portal_pages(portal_desk(services)),
            error_page=error_page,
        )
        self._streams, self._exporter = web.streams, web.exporter
        self._alone = is_alone(ports.config)
        self._timers = Timers()

        def patience() -> Patience:
            return Patience(
                per_address=config.max_connections_per_address,
                trusted=lambda host: contains(config.trusted_clients, host),
                metrics=metrics,
            )

        self._plain = [HttpServer(plain, address, patience=patience()) for address in config.listen]
        self._secure = [
            HttpServer(secure, address, tls=tls, patience=patience())
            for address in config.listen_tls
        ]

    async def start(self) -> Bound:
        """Listen. Raises OSError if an address is taken."""
        self._timers.every(SWEEP_SECONDS, "exports", self._exporter.sweep, at_once=True)
        resume = partial(self._exporter.resume, alone=self._alone)
        self._timers.every(RESUME_SECONDS, "exports-resumed", resume, at_once=True)
        return {
            "http": [str(await server.start()) for server in self._plain],
            "https": [str(await server.start()) for server in self._secure],
        }

    async def stop(self) -> None:
        """Finish requests in progress."""
        self._streams.close()
        await self._timers.stop()
        await self._exporter.stop()
        for server in (*self._secure, *self._plain):
            await server.stop()


def web_services(services: Services) -> WebServices:
    """What portal and API work with."""
    ports, forward = services.ports, services.forward
    return WebServices(
        accounts=services.accounts,
        address_book=forward.book,
        app_passwords=services.app_passwords,
        authenticator=services.authenticator,
        bus=ports.bus,
        clock=ports.clock,
        exporter=Exporter(
            ports.store, services.mailboxes, ports.greetings, ports.exports, ports.clock
        ),
        forward_rules=forward.rules,
        greetings=OwnGreetings(ports.store, ports.greetings, ConvertedFiles(), ports.clock),
        invoices=InvoiceDrop(ports.store, ports.clock, InvoiceMail(services), services.settings),
        mailboxes=services.mailboxes,
        message_list=MessageList(services.mailboxes),
        message_parts=MessageParts(services.mailboxes),
        numbers=services.numbers,
        outbox=forward.queue,
        password_reset=services.password_reset,
        profiles=services.profiles,
        purge_clock=services.purge_clock,
        records=services.records,
        retention=services.retention,
        views=services.views,
        sessions=services.sessions,
        streams=Streams(ports.bus),
        tokens=services.tokens,
        webhook_trials=WebhookTrials(
            forward.rules, HttpWebhooks(allowed=ports.config.web.webhook_networks), ports.clock
        ),
    )


def public_url(config: WebConfig) -> str | None:
    """Where portal and API are seen from outside; None if there are none."""
    there = config.listen_tls or "public_url" in config.model_fields_set
    return config.public_url if there else None


def health_checks(ports: Ports) -> dict[str, Check]:
    """What /healthz looks at."""
    folder = _spool_folder(ports.config)
    return {
        "database": database_answers(ports.store),
        "spool": folder_is_writable(folder),
        "disk": has_free_space(ports.config.server.data_dir),
    }


def read_token(file: Path | None) -> str | None:
    """The core's bearer token: the file's one line. Raises ConfigurationError, never showing it."""
    if file is None:
        return None
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not ASCII text"
        raise ConfigurationError(f"web.core_token_file: {file}: {reason}") from error
    if len(token) < LEAST_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"web.core_token_file: {file}: one line of at least {LEAST_TOKEN_CHARACTERS} characters"
        )
    return token


def _spool_folder(config: Config) -> Path:
    return config.server.data_dir / "spool"
