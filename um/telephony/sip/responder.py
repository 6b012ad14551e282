"""How we answer: responses with our fields, tags and Contact (RFC 3261 §8.2.6, §12.1.1, §13.3.1.4)."""

from dataclasses import dataclass

from um.telephony.randomness import Randomness, token
from um.telephony.sip.admission import ALLOW, SDP, SUPPORTED, Reply
from um.telephony.sip.fields import MAGIC_COOKIE
from um.telephony.sip.grammar import SipSyntaxError, host_port
from um.telephony.sip.layer import (
    Hop,
    ServerTransaction,
    TransactionLayer,
    echoed_fields,
    response_hop,
    stamp,
)
from um.telephony.sip.message import Field, Headers, Request, Response
from um.telephony.sip.parser import MalformedMessageError


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """How an endpoint presents itself."""

    host: str
    """Advertised IP address: Via and Contact."""
    port: int
    transport: str = "UDP"
    """Named in Contact unless it is UDP, which a URI means by itself."""
    user: str = "um"
    server: str = "um"
    retry_after_seconds: int = 30
    max_transactions: int = 10_000
    session_expires_seconds: int = 1800
    """How long a session lasts without a refresh by our wish (RFC 4028); 0: as long as it likes."""
    min_session_expires_seconds: int = 90


@dataclass(frozen=True, slots=True)
class Responder:
    """The answers of one endpoint, sent through its transaction layer."""

    settings: EndpointSettings
    randomness: Randomness
    layer: TransactionLayer

    @property
    def contact(self) -> str:
        """Where requests inside our dialogs come to."""
        return f"<{self.uri_of(self.settings.user)}>"

    def uri_of(self, user: str, *, secure: bool = False) -> str:
        """Where `user` is called at this endpoint; by a `sips:` URI if that can be (§12.1.1)."""
        if secure and self.settings.transport == "TLS":
            return f"sips:{user}@{self._sent_by}"
        transport = self.settings.transport.lower()
        parameter = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@{self._sent_by}{parameter}"

    def contact_for(self, request: Request) -> str:
        """The same; a `sips:` Contact where the request asks for a secure path (§12.1.1)."""
        secure = request.uri.lower().startswith("sips:")
        return f"<{self.uri_of(self.settings.user, secure=secure)}>"

    def via(self, transport: str) -> str:
        """The Via of a new request of ours."""
        branch = MAGIC_COOKIE + token(self.randomness)
        return f"SIP/2.0/{transport} {self._sent_by};branch={branch};rport"

    def respond(
        self, transaction: ServerTransaction, what: Reply, now: float, *, body: bytes = b""
    ) -> bytes:
        """Answer with the transaction's tag, `body` being SDP; returns what was sent."""
        tag = "" if what.status == 100 else transaction.local_tag
        response, data = self._response(transaction.request, what, tag, body)
        self.layer.respond(transaction, response, now, data=data)
        return data

    def dialog_fields(self, transaction: ServerTransaction) -> tuple[Field, ...]:
        """What a 2xx that makes or refreshes a dialog carries (§12.1.1, §13.3.1.4)."""
        routes = [
            ("record-route", value) for value in transaction.request.headers.all("record-route")
        ]
        return (
            *routes,
            ("contact", self.contact_for(transaction.request)),
            ALLOW,
            SUPPORTED,
        )

    def succeed(
        self,
        transaction: ServerTransaction,
        now: float,
        *,
        body: bytes = b"",
        fields: tuple[Field, ...] = (),
    ) -> bytes:
        """The 200 that makes or refreshes a dialog; returns what was sent."""
        fields = (*self.dialog_fields(transaction), *fields)
        return self.respond(transaction, Reply(200, "OK", fields), now, body=body)

    def answer_malformed(self, error: MalformedMessageError, source: Hop) -> None:
        """A stateless answer, as far as the request can be echoed (RFC 4475 §3.1.2)."""
        request = error.answerable
        if request is None:
            return
        hop = source
        try:
            hop = response_hop(request, source)
            request = stamp(request, source)
        except SipSyntaxError:
            pass  # its Via is the malformed part: echoed as it came, to where it came from
        what = Reply(error.status, error.public)
        _, data = self._response(request, what, token(self.randomness))
        self.layer.outbox.append((data, hop))

    def _response(
        self, request: Request, what: Reply, tag: str, body: bytes = b""
    ) -> tuple[Response, bytes]:
        fields = [*echoed_fields(request, tag), *what.fields, ("server", self.settings.server)]
        if body:
            fields.append(("content-type", SDP))
        response = Response(Headers(tuple(fields)), body, what.status, what.reason)
        return response, response.encode()

    @property
    def _sent_by(self) -> str:
        return host_port(self.settings.host, self.settings.port)
