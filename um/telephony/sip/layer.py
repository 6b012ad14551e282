"""The transaction layer: joins messages to transactions, and transactions to the network.

Transport-agnostic: a `Hop` says over what and where; `outbox` holds what must leave, `inbox` what
the user agent must hear. Answers go where RFC 3261 §18.2.2 and RFC 3581 say, but always to the
address that the request came from: `maddr` and foreign sent-by hosts are no reflectors here.
"""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from um.telephony.sip.fields import CSeq, parse_name_addr
from um.telephony.sip.grammar import SipSyntaxError
from um.telephony.sip.message import Field, Headers, Request, Response
from um.telephony.sip.timers import Timers
from um.telephony.sip.transaction import Act, Cue, Kind, State, Transaction

Address = tuple[str, int]
"""IP address and port."""
DEFAULT_PORT: Final = 5060
TLS_PORT: Final = 5061
_ECHOED: Final = ("via", "from", "to", "call-id", "cseq")


@dataclass(frozen=True, slots=True)
class Hop:
    """One neighbour: transport (`UDP`, `TCP`, `TLS`) and address.

    Over a stream `address` is the far end of a connection, and `listening` where a new one may be
    made when that is gone.
    """

    transport: str
    address: Address
    listening: Address | None = None
    name: str = ""
    """What its certificate must be for, if that is not the address."""

    @property
    def otherwise(self) -> Address:
        """Where to connect when there is no connection with `address`."""
        return self.listening or self.address

    @property
    def names(self) -> frozenset[str]:
        """What the neighbour is called where it listens."""
        return frozenset({self.otherwise[0], self.name} - {""})

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


@dataclass(frozen=True, slots=True)
class TransactionKey:
    """What makes two messages the same transaction (RFC 3261 §17.1.3, §17.2.3)."""

    branch: str
    sent_by: str
    method: str


@dataclass(slots=True)
class ServerTransaction:
    """A request that is to be answered."""

    key: TransactionKey
    request: Request
    """With the top Via stamped."""
    hop: Hop
    """Where the answer goes."""
    source: Hop
    """Where the request came from."""
    machine: Transaction
    local_tag: str = ""
    """The To tag of every answer but 100."""

    @property
    def answered(self) -> bool:
        """Whether a final response was sent."""
        return self.machine.state not in {State.TRYING, State.PROCEEDING}


@dataclass(slots=True)
class ClientTransaction:
    """A request of ours."""

    key: TransactionKey
    request: Request
    hop: Hop
    machine: Transaction
    owner: str
    """What the user agent knows it by."""


@dataclass(frozen=True, slots=True)
class ResponseHeard:
    """A response to a request of ours; None when none came in time."""

    transaction: ClientTransaction
    response: Response | None


@dataclass(frozen=True, slots=True)
class FinalNotAcknowledged:
    """No ACK came for a failure response, or the network failed."""

    transaction: ServerTransaction


class TransactionLayer:
    """All transactions of one endpoint."""

    def __init__(self) -> None:
        self.outbox: deque[tuple[bytes, Hop]] = deque()
        self.inbox: deque[ResponseHeard | FinalNotAcknowledged] = deque()
        self._servers: dict[TransactionKey, ServerTransaction] = {}
        self._clients: dict[TransactionKey, ClientTransaction] = {}
        self._identities: dict[tuple[str | None, str, CSeq], TransactionKey] = {}
        self._timers: Timers[TransactionKey] = Timers()

    def find_server(self, request: Request, method: str) -> ServerTransaction | None:
        """The transaction that `request` belongs to, if it were of `method`."""
        return self._servers.get(server_key(request, method))

    def merged(self, request: Request) -> bool:
        """Whether the same request is being answered already, by another path (§8.2.2.2)."""
        return _identity(request) in self._identities

    def open_server(self, request: Request, source: Hop) -> ServerTransaction:
        """Begin to answer a new request."""
        kind = Kind.INVITE_SERVER if request.method == "INVITE" else Kind.SERVER
        transaction = ServerTransaction(
            server_key(request, request.method),
            stamp(request, source),
            response_hop(request, source),
            source,
            Transaction(kind, source.reliable),
        )
        self._servers[transaction.key] = transaction
        self._identities.setdefault(_identity(request), transaction.key)
        return transaction

    def repeat(self, transaction: ServerTransaction, now: float) -> None:
        """The request came again."""
        self._run(transaction, Cue.REQUEST, now)

    def acknowledge(self, transaction: ServerTransaction, now: float) -> None:
        """An ACK came on the branch of the INVITE (for a failure, or RFC 2543 style)."""
        self._run(transaction, Cue.ACK, now)

    def respond(
        self, transaction: ServerTransaction, response: Response, now: float, *, data: bytes
    ) -> None:
        """Send a response; `data` is its encoding."""
        self._run(transaction, _cue_of(response.status), now, data)

    def send_request(self, request: Request, hop: Hop, now: float, *, owner: str) -> None:
        """Begin a client transaction; its answer comes as `ResponseHeard`."""
        via = request.via
        kind = Kind.INVITE_CLIENT if request.method == "INVITE" else Kind.CLIENT
        key = TransactionKey(via.branch or "", "", request.method)
        transaction = ClientTransaction(key, request, hop, Transaction(kind, hop.reliable), owner)
        self._clients[key] = transaction
        self._run(transaction, Cue.REQUEST, now, request.encode())

    def unreachable(self, peer: Address, name: str, now: float) -> None:
        """Requests of ours (but INVITE) on the stream to `peer` by `name` have failed (§17.1.4)."""
        for transaction in list(self._clients.values()):
            hop, kind = transaction.hop, transaction.machine.kind
            there = hop.name == name and peer in {hop.address, hop.otherwise}
            if hop.reliable and there and kind is Kind.CLIENT:
                self._run(transaction, Cue.TRANSPORT_ERROR, now)

    def abandon(self, branch: str) -> None:
        """Forget a request of ours; an answer to it is stray from now on."""
        for transaction in [each for each in self._clients.values() if each.key.branch == branch]:
            self._forget(transaction)

    def receive_response(self, response: Response, now: float) -> bool:
        """Give a response to its transaction. False: nobody asked for it (it is dropped)."""
        if len(response.headers.values("via")) != 1:  # §8.1.3.3
            return False
        key = TransactionKey(response.via.branch or "", "", response.cseq.method)
        transaction = self._clients.get(key)
        if transaction is None:
            return False
        self._run(transaction, _cue_of(response.status), now, response=response)
        return True

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        return self._timers.earliest()

    def handle_timer(self, now: float) -> None:
        """Run what is due."""
        for key in self._timers.due(now):
            transaction = self._servers.get(key) or self._clients.get(key)
            if transaction is not None:
                self._do(transaction, transaction.machine.handle_timer(now), None)
                self._settle(transaction)

    @property
    def asking(self) -> bool:
        """Whether a request of ours has no final answer yet."""
        return any(
            client.machine.state in {State.CALLING, State.TRYING, State.PROCEEDING}
            for client in self._clients.values()
        )

    def __len__(self) -> int:
        """How many transactions live."""
        return len(self._servers) + len(self._clients)

    def _run(
        self,
        transaction: ServerTransaction | ClientTransaction,
        cue: Cue,
        now: float,
        data: bytes = b"",
        response: Response | None = None,
    ) -> None:
        self._do(transaction, transaction.machine.feed(cue, now, data), response)
        self._settle(transaction)

    def _do(
        self,
        transaction: ServerTransaction | ClientTransaction,
        acts: tuple[Act, ...],
        response: Response | None,
    ) -> None:
        for act in acts:
            if act in {Act.SEND, Act.RESEND}:
                self.outbox.append((transaction.machine.last_sent, transaction.hop))
            elif isinstance(transaction, ServerTransaction):
                if act is Act.TIMEOUT:
                    self.inbox.append(FinalNotAcknowledged(transaction))
            elif act is Act.ACK and response is not None:
                ack = acknowledgement(transaction.request, response)
                self.outbox.append((ack.encode(), transaction.hop))
            else:
                self.inbox.append(ResponseHeard(transaction, response))

    def _settle(self, transaction: ServerTransaction | ClientTransaction) -> None:
        """Forget a transaction that ended; wait for the timers of one that lives."""
        if transaction.machine.state is State.TERMINATED:
            self._forget(transaction)
            return
        deadline = transaction.machine.get_timer()
        if deadline is None:
            self._timers.cancel(transaction.key)
        else:
            self._timers.set(transaction.key, deadline)

    def _forget(self, transaction: ServerTransaction | ClientTransaction) -> None:
        self._timers.cancel(transaction.key)
        if isinstance(transaction, ClientTransaction):
            self._clients.pop(transaction.key, None)
            return
        self._servers.pop(transaction.key, None)
        identity = _identity(transaction.request)
        if self._identities.get(identity) == transaction.key:
            del self._identities[identity]


def _identity(request: Request) -> tuple[str | None, str, CSeq]:
    """What stays the same when a request reaches us by two paths (§8.2.2.2)."""
    return request.from_.tag, request.call_id, request.cseq


def _cue_of(status: int) -> Cue:
    if status < 200:
        return Cue.PROVISIONAL
    return Cue.SUCCESS if status < 300 else Cue.FAILURE


def server_key(request: Request, method: str) -> TransactionKey:
    """The key of `request` taken as `method` (an ACK or CANCEL is looked up as INVITE).

    Without a branch of RFC 3261 the fields of RFC 2543 make the key (§17.2.3).
    """
    via = request.via
    if via.branch:
        return TransactionKey(via.branch, f"{via.host.lower()}:{via.port or ''}", method)
    old = (request.uri, request.from_.tag or "", request.call_id, str(request.cseq.number))
    return TransactionKey("\n".join(old), via.text, method)


def stamp(request: Request, source: Hop) -> Request:
    """The request with `received` and `rport` in its top Via, as answers must echo them."""
    fields: list[Field] = []
    values = request.headers.values("via")
    values[0] = request.via.stamped(*source.address)
    for name, value in request.headers.fields:
        if name != "via":
            fields.append((name, value))
        elif values:
            fields += [("via", item) for item in values]
            values = []
    return Request(Headers(tuple(fields)), request.body, request.method, request.uri)


def response_hop(request: Request, source: Hop) -> Hop:
    """Where answers to `request` go (§18.2.2, RFC 3581 §4)."""
    via = request.via
    listening = (source.address[0], via.port or default_port(source.transport))
    if source.reliable:
        return replace(source, listening=listening)
    return source if via.rport_asked else Hop(source.transport, listening)


def default_port(transport: str) -> int:
    """What a SIP address without a port means (§19.1.2)."""
    return TLS_PORT if transport == "TLS" else DEFAULT_PORT


def echoed_fields(request: Request, local_tag: str) -> tuple[Field, ...]:
    """What every response repeats of its request (§8.2.6.2), with our To tag where it has none."""
    fields: list[Field] = []
    for name, value in request.headers.fields:
        if name == "to" and local_tag and not _has_tag(value):
            fields.append((name, f"{value};tag={local_tag}"))
        elif name in _ECHOED:
            fields.append((name, value))
    return tuple(fields)


def _has_tag(value: str) -> bool:
    """Also of a To that does not parse, which a 400 echoes."""
    try:
        return parse_name_addr(value).tag is not None
    except SipSyntaxError:
        return ";tag=" in value


def acknowledgement(request: Request, response: Response) -> Request:
    """The ACK for a failure response, on the INVITE's own branch (§17.1.1.3)."""
    fields = [field for field in request.headers.fields if field[0] in {"from", "call-id", "route"}]
    fields += [
        ("via", request.headers.values("via")[0]),
        ("to", response.headers.only("to")),
        ("cseq", f"{request.cseq.number} ACK"),
        ("max-forwards", "70"),
    ]
    return Request(Headers(tuple(fields)), b"", "ACK", request.uri)


def cancellation(request: Request) -> Request:
    """The CANCEL of an INVITE of ours, on its branch (§9.1)."""
    kept = {"from", "to", "call-id", "route", "max-forwards"}
    fields = [field for field in request.headers.fields if field[0] in kept]
    fields += [
        ("via", request.headers.values("via")[0]),
        ("cseq", f"{request.cseq.number} CANCEL"),
    ]
    return Request(Headers(tuple(fields)), b"", "CANCEL", request.uri)
