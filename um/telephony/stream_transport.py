"""SIP over TCP and TLS on Twisted: connections that come, and those we make to answer.

Laws:
- Only trusted networks are connected, in either direction; who else comes is closed at once,
  before TLS says a word, unless there are cores that prove themselves by a password (`guard`).
- An answer leaves on the connection that its request came on. When that is gone, a new one is
  made to the peer's own address (RFC 3261 §18.2.2).
- Over TLS we connect to nobody whose certificate is not for the name, or the address, that we call.
- A request of ours whose connection fails has failed: nobody waits for the timer.
- One bad frame ends its connection and no other. A peer that does not read is not read from.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from um.core.origin import origin
from um.core.ports import Clock, Metrics
from um.telephony.sip.endpoint import Endpoint
from um.telephony.sip.events import Event
from um.telephony.sip.layer import Address, Hop
from um.telephony.sip.stream import PING, PONG, FramingError, StreamFramer
from um.telephony.transport import DelayedCall, Network, Reactor, SipPort, is_inside

log = structlog.get_logger(__name__)

MAX_CONNECTIONS: Final = 256
"""Of one port. A core needs one or a few; its telephones may come by themselves."""
MAX_CONNECTIONS_OF_ADDRESS: Final = 64
MAX_STRANGERS: Final = 32
"""From outside the trusted networks, where a password is asked for; of one address:"""
MAX_STRANGERS_OF_ADDRESS: Final = 4
MAX_WAITING: Final = 64
"""Messages that wait for a connection to be made."""
MESSAGE_SECONDS: Final = 30.0
"""For the first message to come, and for any to become whole."""
IDLE_SECONDS: Final = 2.5 * 3600
"""Longer than the longest call (`max_call_seconds` is 2 h), whose BYE wants its connection."""
CONNECT_SECONDS: Final = 5.0
_BACKLOG: Final = 128
_Way = tuple[str, int, str]
"""Address, port, and the name that the far end's certificate was checked for ("" for the address):
who was proved to be one is not thereby another."""


class StreamPort(SipPort):
    """A listening TCP or TLS socket, its connections, and the endpoint behind them."""

    def __init__(
        self,
        endpoint: Endpoint,
        on_event: Callable[[SipPort, Event], None],
        *,
        trusted: Sequence[Network],
        reactor: Reactor,
        clock: Clock,
        metrics: Metrics,
        tls: Any = None,
        tls_client: Callable[[str], Any] | None = None,
    ) -> None:
        super().__init__(
            endpoint, on_event, trusted=trusted, reactor=reactor, clock=clock, metrics=metrics
        )
        self._tls = tls
        self._tls_client = tls_client
        """Makes Twisted's options of a connection to a name or address, whose certificate it checks."""
        self.transport = "TCP" if tls is None else "TLS"
        self._connections: dict[_Way, StreamConnection] = {}
        self._connecting: dict[_Way, _Caller] = {}

    def listen(self, host: str, port: int) -> int:
        """Bind; returns the true port. Raises CannotListenError."""
        factory: Any = _Welcome(self)
        if self._tls is not None:
            clock: Any = self._reactor
            factory.inner = TLSMemoryBIOFactory(self._tls, False, factory.inner, clock)
        self._socket = self._reactor.listenTCP(port, factory, _BACKLOG, host)
        number: int = self._socket.getHost().port
        return number

    def close(self) -> None:
        """Stop listening; what was said leaves, then the connections are closed."""
        super().close()
        for caller in list(self._connecting.values()):
            caller.give_up()
        for connection in list(self._connections.values()):
            connection.transport.loseConnection()

    def call_later(self, seconds: float, call: Callable[[], object]) -> Any:
        """The reactor's timer, for connections."""
        return self._reactor.callLater(seconds, call)

    def count(self, name: str) -> None:
        """Count for the operator."""
        self._metrics.count(name)

    # ---- connections

    def admits(self, host: str) -> bool:
        """Whether one more connection from `host` is welcome."""
        if not is_inside(host, self._trusted) and not self._admits_stranger(host):
            self.count("sip_untrusted_connections")
            return False
        of_host = sum(address[0] == host for address in self._connections)
        if len(self._connections) >= MAX_CONNECTIONS or of_host >= MAX_CONNECTIONS_OF_ADDRESS:
            self.count("sip_connections_refused")
            return False
        return True

    def _admits_stranger(self, host: str) -> bool:
        """With a guard some may come, never so many that the trusted find no place."""
        strangers = [each for each, *_ in self._connections if not is_inside(each, self._trusted)]
        of_host = sum(origin(each) == origin(host) for each in strangers)
        few = len(strangers) < MAX_STRANGERS and of_host < MAX_STRANGERS_OF_ADDRESS
        return self.guard is not None and few

    def opened(self, connection: "StreamConnection") -> None:
        """A connection is there; what waited for it leaves."""
        self._connections[connection.way] = connection
        self._metrics.gauge(f"sip_{self.transport.lower()}_connections", len(self._connections))
        caller = self._connecting.pop(connection.way, None)
        for data in caller.waiting if caller else ():
            connection.transport.write(data)

    def lost(self, connection: "StreamConnection") -> None:
        """A connection is gone; calls that came on it go on."""
        if self._connections.get(connection.way) is connection:
            del self._connections[connection.way]
        self._metrics.gauge(f"sip_{self.transport.lower()}_connections", len(self._connections))
        self._fail(connection.way)

    def not_made(self, way: _Way, error: str) -> None:
        """A connection of ours did not come about: what waited is lost."""
        if self._connecting.pop(way, None) is not None:
            self.count("telephony_send_failures")
            log.info("telephony.not-connected", peer=way, error=error)
            self._fail(way)

    def _fail(self, way: _Way) -> None:
        """What was asked on a connection that is gone has no answer to wait for."""
        host, port, name = way
        self.endpoint.unreachable((host, port), name, self._clock.monotonic())
        self.work()

    def received(self, data: bytes, connection: "StreamConnection") -> None:
        """Take one whole message."""
        source = Hop(self.transport, connection.peer, name=connection.name)
        if not self._vouched(data, source):
            return
        self.count("sip_stream_messages")
        self.endpoint.receive(data, source, self._clock.monotonic())
        self.work()

    def _carry(self, data: bytes, hop: Hop) -> None:
        ways = ((*hop.address, hop.name), (*hop.otherwise, hop.name))
        connection = next(
            (self._connections[way] for way in ways if way in self._connections), None
        )
        if connection is not None:
            connection.transport.write(data)
        else:
            self._send_anew(data, hop)

    def _send_anew(self, data: bytes, hop: Hop) -> None:
        """Connect to where the peer listens (§18.2.2), once for all that waits."""
        peer = hop.otherwise
        caller = self._connecting.get((*peer, hop.name))
        if caller is None:
            secure = self._tls is None or self._tls_client is not None
            if not secure or not is_inside(peer[0], self._trusted):
                self.count("telephony_send_failures")
                log.info("telephony.connection-gone", transport=self.transport, peer=peer)
                self._reactor.callLater(0, lambda: self._fail((*peer, hop.name)))
                return
            caller = _Caller(self, peer, hop.name, secure=self._tls is not None)
            self._connecting[*peer, hop.name] = caller
            factory = self._secured(caller, hop.name or peer[0])
            caller.connector = self._reactor.connectTCP(*peer, factory, CONNECT_SECONDS)
        if len(caller.waiting) < MAX_WAITING:
            caller.waiting.append(data)

    def _secured(self, caller: "_Caller", name: str) -> Any:
        """`caller`, over TLS behind the options for `name`."""
        if self._tls is None or self._tls_client is None:
            return caller
        clock: Any = self._reactor
        inner: Any = caller
        return TLSMemoryBIOFactory(self._tls_client(name), True, inner, clock)


class _Welcome(Factory):
    """Looks who comes before anything is said."""

    noisy = False

    def __init__(self, port: StreamPort) -> None:
        self._port = port
        self.inner: Factory = Factory.forProtocol(lambda: StreamConnection(port))
        self.inner.noisy = False

    def buildProtocol(self, addr: Any) -> Any:
        """None: Twisted closes the connection."""
        return self.inner.buildProtocol(addr) if self._port.admits(addr.host) else None


class _Caller(ClientFactory):
    """Makes one connection, with what is to be said on it."""

    noisy = False

    def __init__(self, port: StreamPort, peer: Address, name: str, *, secure: bool) -> None:
        self._port = port
        self._secure = secure
        self._peer = peer
        self._name = name
        self.waiting: deque[bytes] = deque()
        self.connector: Any = None

    def buildProtocol(self, _addr: Any) -> Protocol:
        """The peer is known by the address that was called."""
        return StreamConnection(self._port, self._peer, name=self._name, shakes_hands=self._secure)

    def clientConnectionFailed(self, _connector: Any, reason: Failure) -> None:
        """Nobody listens there."""
        self._port.not_made((*self._peer, self._name), repr(reason.value))

    def give_up(self) -> None:
        """We stop."""
        if self.connector is not None:
            self.connector.disconnect()


@implementer(IPushProducer, IHandshakeListener)
class StreamConnection(Protocol):
    """One connection: octets to frames, frames to its port.

    One of ours over TLS `shakes_hands` first: nothing is written before, for a write that has to wait
    stops our reading, which the handshake needs.
    """

    transport: Any

    def __init__(
        self,
        port: StreamPort,
        peer: Address = ("", 0),
        *,
        name: str = "",
        shakes_hands: bool = False,
    ) -> None:
        self._port = port
        self.name = name
        self._opened = False
        self._shakes_hands = shakes_hands
        self.peer = peer
        self._framer = StreamFramer()
        self._unfinished = True
        self._timer: DelayedCall | None = None

    def connectionMade(self) -> None:
        """Greet nobody: SIP has no greeting."""
        if not self.peer[0]:
            host = self.transport.getPeer()
            self.peer = (host.host, host.port)
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._expect(MESSAGE_SECONDS)
        if not self._shakes_hands:
            self._open()

    @property
    def way(self) -> _Way:
        """What it is known by."""
        return (*self.peer, self.name)

    def handshakeCompleted(self) -> None:
        """TLS is agreed, and the certificate is for whom we called."""
        if self._shakes_hands:
            self._open()

    def _open(self) -> None:
        self._opened = True
        self._port.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass on the messages that are whole now; a bad one is the last."""
        self._framer.feed(data)
        came = False
        try:
            while (frame := self._framer.next_frame()) is not None:
                came = True
                self._take(frame)
        except FramingError as error:
            self._port.count("sip_framing_errors")
            log.info("telephony.bad-stream", peer=self.peer, error=error.public)
            self.transport.abortConnection()
            return
        self._watch(came=came)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """However it ended."""
        if isinstance(reason.value, SSL.Error | VerificationError):
            self._port.count("sip_tls_failures")
            log.warning("telephony.tls-failed", peer=self.peer, error=repr(reason.value))
        elif not isinstance(reason.value, ConnectionDone):
            log.debug("telephony.connection-lost", peer=self.peer, error=repr(reason.value))
        self._expect(None)
        if self._opened:
            self._port.lost(self)
        else:
            self._port.not_made(self.way, repr(reason.value))

    def pauseProducing(self) -> None:
        """The peer does not read."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """It reads again."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Twisted closes the connection; there is nothing more to stop."""

    def _expect(self, seconds: float | None) -> None:
        """Wait so long for what the peer has to send; None: no longer at all."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._port.call_later(seconds, self._tired)

    def _tired(self) -> None:
        self._port.count("sip_connections_idle")
        self.transport.abortConnection()

    def _take(self, frame: bytes) -> None:
        if frame == PING:
            self.transport.write(PONG)
        else:
            self._port.received(frame, self)

    def _watch(self, *, came: bool) -> None:
        """A message that has begun must go on to its end: single octets buy no time."""
        if self._framer.pending:
            if came or not self._unfinished:
                self._expect(MESSAGE_SECONDS)
            self._unfinished = True
        elif came:
            self._unfinished = False
            self._expect(IDLE_SECONDS)
