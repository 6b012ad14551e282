"""A dialog as its callee sees it (RFC 3261 §12): tags, sequence numbers, targets and routes."""

from dataclasses import dataclass, replace
from typing import Final

from um.telephony.sip.fields import NameAddr, parse_name_addr
from um.telephony.sip.layer import Address, Hop, default_port
from um.telephony.sip.message import Field, Headers, Request
from um.telephony.sip.uri import SIP_SCHEMES, Uri, parse_uri

MAX_FORWARDS: Final = "70"

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag ("" for a peer of RFC 2543)."""


@dataclass(slots=True)
class Dialog:
    """One dialog made by an INVITE that we received."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    """Our From value in requests, tag included."""
    remote: str
    """Our To value in requests."""
    remote_target: str
    route_set: tuple[str, ...]
    """Route values (name-addr), first hop first."""
    remote_cseq: int
    source: Hop
    """Where the INVITE came from: the next hop when the dialog names none by address.

    A dialog keeps to its transport, and over a stream to its connection while that lives.
    """
    local_cseq: int = 0

    @property
    def key(self) -> DialogKey:
        return self.call_id, self.local_tag, self.remote_tag

    def in_order(self, request: Request) -> bool:
        """Whether the request's number is higher than the last (§12.2.2); it becomes the last."""
        if request.cseq.number <= self.remote_cseq:
            return False
        self.remote_cseq = request.cseq.number
        return True

    def refresh_target(self, request: Request, source: Hop) -> None:
        """Take the Contact of a target refresh request: INVITE or UPDATE (§12.2.2, RFC 3311).

        `source` replaces a connection that may be gone; over UDP the place of the INVITE stays.
        """
        if source.reliable:
            self.source = source
        self.follow(request.contact)

    def follow(self, contact: NameAddr | None) -> None:
        """Take the Contact of a request or of a 2xx as the target (§12.2.1.2)."""
        if contact is not None and contact.uri.scheme in SIP_SCHEMES:
            self.remote_target = contact.uri.text

    def request(
        self,
        method: str,
        via: str,
        contact: str,
        *,
        fields: tuple[Field, ...] = (),
        body: bytes = b"",
        cseq: int | None = None,
    ) -> Request:
        """Build a request inside the dialog (§12.2.1.1), with the next sequence number.

        `cseq` is that of the INVITE which an ACK is for (§13.2.2.4).
        """
        if cseq is None:
            self.local_cseq += 1
        uri, routes = self._routing()
        headers: list[Field] = [("via", via)]
        headers += [("route", route) for route in routes]
        headers += [
            ("max-forwards", MAX_FORWARDS),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{self.local_cseq if cseq is None else cseq} {method}"),
            ("contact", contact),
            *fields,
        ]
        return Request(Headers(tuple(headers)), body, method, uri)

    def _routing(self) -> tuple[str, tuple[str, ...]]:
        """Request-URI and Route values: loose or strict (§12.2.1.1)."""
        if not self.route_set:
            return self.remote_target, ()
        first = parse_name_addr(self.route_set[0]).uri
        if first.parameter("lr") is not None:
            return self.remote_target, self.route_set
        return first.text, (*self.route_set[1:], f"<{self.remote_target}>")

    def next_hop(self) -> Hop:
        """Where requests go: the first route or the target if it names an address, else `source`."""
        uri = (
            parse_name_addr(self.route_set[0]).uri
            if self.route_set
            else parse_uri(self.remote_target)
        )
        address = _address(uri, self.source.transport)
        if self.source.reliable:
            return replace(self.source, listening=address)
        return Hop(self.source.transport, address) if address else self.source


def accept_dialog(request: Request, local_tag: str, source: Hop) -> Dialog:
    """The dialog that a 2xx to `request` makes (§12.1.1).

    A peer of RFC 2543 may leave Contact out: then From is the target, and `source` the next hop.
    """
    contact = request.contact
    if contact is None or contact.uri.scheme not in SIP_SCHEMES:
        contact = request.from_
    return Dialog(
        call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=request.from_.tag or "",
        local=f"{request.to.text};tag={local_tag}",
        remote=request.from_.text,
        remote_target=contact.uri.text,
        route_set=tuple(route.text for route in request.addresses("record-route")),
        remote_cseq=request.cseq.number,
        source=source,
    )


def _address(uri: Uri, transport: str) -> Address | None:
    """The address in a SIP URI; None for a host name (no DNS in an engine)."""
    host = uri.host
    literal = ":" in host or (host.count(".") == 3 and host.replace(".", "").isdigit())
    return (host, uri.port or default_port(transport)) if literal else None
