"""The services about what leaves the house, built once for the process."""

from um.app.ports import Ports
from um.app.secret_key import read_or_make_key
from um.config import Config
from um.service.delivery import Delivery
from um.service.forward.addresses import AddressBook
from um.service.forward.bounces import Bounces
from um.service.forward.compose import Composer
from um.service.forward.failures import Failures
from um.service.forward.links import Links
from um.service.forward.queue import OutboxQueue
from um.service.forward.rules import ForwardRules
from um.service.forward.settings import ForwardSettings
from um.service.forward.signing import Signer
from um.service.security_notices import SecurityNotices
from um.smtp.letters import TemplateLetters

TEMPLATES = "templates"
"""The folder in data_dir with an operator's own wording."""


class ForwardServices:
    """One of each. `book`, `rules`, `queue` and `links` are what edges use."""

    def __init__(self, ports: Ports, delivery: Delivery, notices: SecurityNotices) -> None:
        store, bus, clock, metrics = ports.store, ports.bus, ports.clock, ports.metrics
        folder = ports.config.server.data_dir
        self.settings = forward_settings(ports.config)
        self.signer = Signer(read_or_make_key(folder))
        self.book = AddressBook(store, bus, clock, self.signer, notices)
        allowed = ports.config.web.webhook_networks
        self.rules = ForwardRules(store, clock, self.signer, allowed=allowed)
        self.queue = OutboxQueue(store, bus, clock)
        self.links = Links(store, ports.blobs, clock, self.signer, self.settings)
        self.failures = Failures(store, delivery, clock, metrics=metrics)
        self.bounces = Bounces(store, self.failures, self.settings, metrics=metrics)
        letters = TemplateLetters(folder / TEMPLATES, metrics)
        self.composer = Composer(letters, self.links, self.book, self.signer, self.settings)


def forward_settings(config: Config) -> ForwardSettings:
    """What [smtp] and [web] say about mail out."""
    return ForwardSettings(
        domain=config.server.domain,
        forward_from=config.smtp.forward_from,
        public_url=config.web.public_url.rstrip("/"),
    )
