"""The edges of this process, by its roles, and what each is to the composition root."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from um.config import Role

if TYPE_CHECKING:
    from um.app.applications import Applications
    from um.app.services import Services
    from um.web.metrics import PrometheusMetrics

Bound = Mapping[str, Sequence[str]]
"""Name of a service to the addresses where it listens, with their true ports."""


class Edge(Protocol):
    """One protocol family."""

    async def start(self) -> Bound:
        """Listen. Raises OSError or Twisted's CannotListenError if an address is taken."""
        ...

    async def stop(self) -> None:
        """Take no more; finish or end what is in progress within bounded time."""
        ...


def make_edges(
    services: "Services",
    applications: "Applications",
    metrics: "PrometheusMetrics",
    reactor: Any,
) -> dict[Role, Edge]:
    """The edges that the configured roles ask for, in the order in which they start.

    They stop in the opposite order: calls drain while mailboxes are still served.
    """
    # Each role's packages are loaded only where the role is wanted.
    roles = services.ports.config.server.roles
    edges: dict[Role, Edge] = {}
    telephone_tls = Role.TELEPHONY in roles and any(
        each.transport == "tls" for each in services.ports.config.telephony.listen
    )
    if {Role.IMAP, Role.SMTP, Role.WEB}.intersection(roles) or telephone_tls:
        from um.app.certificates import certificate_files

        files = certificate_files(services.ports.config, services.ports.clock)
        context = files.ssl_context()
    if Role.WEB in roles:
        from um.app.http import WebEdge

        edges[Role.WEB] = WebEdge(services, metrics, context)
    if Role.IMAP in roles:
        from um.app.imap import ImapEdge

        edges[Role.IMAP] = ImapEdge(services, files.twisted_factory(), reactor)
    if Role.SMTP in roles:
        from um.app.mail import MailEdge

        edges[Role.SMTP] = MailEdge(services, context)
    if Role.TELEPHONY in roles:
        from um.app.telephone import TelephoneEdge

        tls = files.twisted_factory() if telephone_tls else None
        edges[Role.TELEPHONY] = TelephoneEdge(services, applications, tls, reactor)
    return edges
