"""The sockets of telephony on Twisted: SIP ports that drive an endpoint, RTP port pairs.

SIP over TCP and TLS is in `stream_transport`.

Callbacks only move octets: what they mean is the engines' business. Datagrams from outside the
trusted networks get no answer at all (no scanner learns that we are here); they are counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from twisted.internet.error import InvalidAddressError, MessageLengthError
from twisted.internet.protocol import DatagramProtocol

from um.core.errors import InvalidError, UnavailableError
from um.core.ports import Clock, Metrics
from um.telephony.media_sockets import MOST_LAST, MediaSocket, MediaSockets, Receive
from um.telephony.randomness import Randomness
from um.telephony.sip.endpoint import Endpoint
from um.telephony.sip.events import Event
from um.telephony.sip.grammar import SipSyntaxError, host_port, parse_host_port
from um.telephony.sip.layer import Address, Hop

if TYPE_CHECKING:
    from um.telephony.sip.guard import Guard

log = structlog.get_logger(__name__)

MAX_DATAGRAM: Final = 65_536
_WILDCARDS: Final = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound by default
Network = IPv4Network | IPv6Network


class DelayedCall(Protocol):
    """What `callLater` returns."""

    def active(self) -> bool: ...

    def cancel(self) -> None: ...


class Reactor(Protocol):
    """What we use of Twisted's reactor."""

    def listenUDP(
        self,
        port: int,
        protocol: Any,
        interface: str = ...,
        maxPacketSize: int = ...,
    ) -> Any: ...

    def listenTCP(
        self, port: int, factory: Any, backlog: int = ..., interface: str = ...
    ) -> Any: ...

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = ...) -> Any: ...

    def callLater(self, delay: float, call: Callable[[], object], /) -> Any: ...


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One entry of `listen`: transport (`udp`, `tcp`, `tls`), host and port."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{host_port(self.host, self.port)}"


def parse_listen(text: str) -> ListenAddress:
    """Read `udp:127.0.0.1:5070`. Raises InvalidError."""
    transport, _, place = text.partition(":")
    try:
        host, port = parse_host_port(place)
        ip_address(host)
    except (SipSyntaxError, ValueError) as error:
        raise InvalidError(f"Not a listen address: {text}") from error
    if transport not in {"udp", "tcp", "tls"} or port is None:
        raise InvalidError(f"Not a listen address: {text}")
    return ListenAddress(transport, host, port)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read `127.0.0.0/8` and their like. Raises InvalidError."""
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise InvalidError(f"Not a network: {error}") from error


def is_inside(host: str, networks: Sequence[Network]) -> bool:
    """Whether an address as the socket gives it lies in one of the networks."""
    address = ip_address(host.partition("%")[0])
    return any(address.version == each.version and address in each for each in networks)


def reachable_address(host: str, networks: Sequence[Network]) -> str:
    """`host`, or for a wildcard the address that faces the first of `networks`."""
    if host not in _WILDCARDS:
        return host
    family = AF_INET6 if ":" in host else AF_INET
    version = 6 if family == AF_INET6 else 4
    facing = next((str(each[0]) for each in networks if each.version == version), None)
    if facing is None:
        raise InvalidError(f"Listening on {host} needs an advertised address")
    with socket(family, SOCK_DGRAM) as probe:
        probe.connect((facing, 9))  # sends nothing: the kernel picks the route
        return str(probe.getsockname()[0])


class SipPort(ABC):
    """Moves octets, events and timers between a socket and a SIP endpoint."""

    def __init__(
        self,
        endpoint: Endpoint,
        on_event: Callable[["SipPort", Event], None],
        *,
        trusted: Sequence[Network],
        reactor: Reactor,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.endpoint = endpoint
        self.guard: Guard | None = None
        """Hears those outside the trusted networks; without it nobody does."""
        self._on_event = on_event
        self._trusted = trusted
        self._reactor = reactor
        self._clock = clock
        self._metrics = metrics
        self._timer: DelayedCall | None = None
        self._working = False
        self._socket: Any = None

    @abstractmethod
    def listen(self, host: str, port: int) -> int:
        """Bind; returns the true port. Raises CannotListenError."""

    def _send(self) -> None:
        """Send what the endpoint has to send."""
        for data, hop in self.endpoint.datagrams_to_send():
            self._carry(data, hop)

    @abstractmethod
    def _carry(self, data: bytes, hop: Hop) -> None:
        """Send one message."""

    def _vouched(self, data: bytes, source: Hop) -> bool:
        """Whether the endpoint may hear `source`; a stranger is asked for a password, or ignored."""
        if is_inside(source.address[0], self._trusted):
            return True
        if self.guard is None:
            self._metrics.count("sip_untrusted_datagrams")
            return False
        admitted, answer = self.guard.admit(data, source, self._clock.monotonic())
        if answer is not None:
            self._carry(*answer)
        return admitted

    def work(self) -> None:
        """Carry out what the endpoint wants; to be called after every use of it."""
        if self._working or self._socket is None:
            return  # the outer call goes on until nothing is left
        self._working = True
        try:
            self._send()
            while (event := self.endpoint.next_event()) is not None:
                self._handle(event)
                self._send()
        finally:
            self._working = False
        self._arm()

    def _handle(self, event: Event) -> None:
        """What goes wrong with one event must not hold up the others."""
        try:
            self._on_event(self, event)
        except Exception:
            self._metrics.count("telephony_event_failures")
            log.exception("telephony.event-failed", subject=type(event).__name__)

    def close(self) -> None:
        """Stop listening."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._socket is not None:
            self._socket.stopListening()
        self._socket = None

    def _arm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        deadline = self.endpoint.get_timer()
        self._timer = None
        if deadline is not None:
            delay = max(0.0, deadline - self._clock.monotonic())
            self._timer = self._reactor.callLater(delay, self._expire)

    def _expire(self) -> None:
        self.endpoint.handle_timer(self._clock.monotonic())
        self.work()


class UdpPort(SipPort, DatagramProtocol):
    """A UDP socket and the endpoint behind it."""

    def listen(self, host: str, port: int) -> int:
        """Bind; returns the true port. Raises CannotListenError."""
        self._socket = self._reactor.listenUDP(
            port, self, interface=host, maxPacketSize=MAX_DATAGRAM
        )
        number: int = self._socket.getHost().port
        return number

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """Take a datagram of who is trusted or has proved himself; others never were."""
        if not self._vouched(datagram, Hop("UDP", addr)):
            return
        self._metrics.count("sip_datagrams")
        self.endpoint.receive_datagram(datagram, addr, self._clock.monotonic())
        self.work()

    def _carry(self, data: bytes, hop: Hop) -> None:
        _write(self._socket, data, hop.address, self._metrics)


class MediaPort:
    """An RTP socket on an even port, and the RTCP socket above it."""

    def __init__(
        self,
        on_datagram: Receive,
        on_report: Receive,
        release: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._on_datagram = on_datagram
        self._on_report = on_report
        self._release: Callable[[], None] | None = release
        self._metrics = metrics
        self._rtp: MediaSocket | None = None
        self._rtcp: MediaSocket | None = None
        self.number = 0

    def send(self, data: bytes, address: Address) -> None:
        """Send one packet; what the network refuses is lost, as on any network."""
        self._send(self._rtp, data, address)

    def send_report(self, data: bytes, address: Address) -> None:
        """Send one RTCP datagram."""
        self._send(self._rtcp, data, address)

    def _send(self, through: MediaSocket | None, data: bytes, address: Address) -> None:
        if through is None:
            return
        try:
            through.send(data, address)
        except OSError as error:
            self._metrics.count("telephony_send_failures")
            log.debug("telephony.send-failed", address=address, error=repr(error))

    def take(self, now: float, most: int = MOST_LAST) -> bool:
        """Give out the RTP that waits, at most `most` datagrams; whether that was all."""
        return self._rtp is None or self._rtp.take(now, most)

    def rest(self, *, resting: bool) -> None:
        """Whether RTP is given out by `take` alone, and not at each beat."""
        if self._rtp is not None:
            self._rtp.rest(resting=resting)

    def give_away(self) -> socket:
        """The RTP socket, for another process; its number stays taken."""
        if self._rtp is None:
            raise UnavailableError("The media socket is closed")
        given, self._rtp = self._rtp.detach(), None
        self._close_sockets()
        return given

    def close(self) -> None:
        """Close both sockets and free the number."""
        self._close_sockets()
        if self._release is not None:
            self._release()
            self._release = None

    def _close_sockets(self) -> None:
        for each in (self._rtp, self._rtcp):
            if each is not None:
                each.close()
        self._rtp = self._rtcp = None

    def listen(self, sockets: MediaSockets, host: str, number: int) -> None:
        """Bind the pair. Raises OSError if one of them is taken."""
        self._rtp = sockets.bind(host, number, self._on_datagram)
        try:
            self._rtcp = sockets.bind(host, number + 1, self._on_report)
        except OSError:
            self._close_sockets()
            raise
        self.number = number


class MediaPorts:
    """Even ports of a range, taken in random order (RTP injection needs a guess)."""

    def __init__(
        self,
        ports: tuple[int, int],
        *,
        sockets: MediaSockets,
        randomness: Randomness,
        metrics: Metrics,
    ) -> None:
        first, last = ports[0] + ports[0] % 2, ports[1]
        self._numbers = range(first, last, 2)
        if not self._numbers or not 0 < first <= last < 65535:
            raise InvalidError("rtp_ports is no range of ports")
        self._sockets = sockets
        self._randomness = randomness
        self._metrics = metrics
        self._taken: set[int] = set()

    def open(
        self,
        host: str,
        on_datagram: Receive,
        *,
        on_report: Receive,
    ) -> MediaPort:
        """Bind a free pair on `host`. Raises UnavailableError when none is left."""
        offset = self._randomness.getrandbits(32) % len(self._numbers)
        for index in range(len(self._numbers)):
            number = self._numbers[(offset + index) % len(self._numbers)]
            if number in self._taken:
                continue
            release = partial(self._taken.discard, number)
            port = MediaPort(on_datagram, on_report, release, self._metrics)
            try:
                port.listen(self._sockets, host, number)
            except OSError:
                continue  # another program's
            self._taken.add(number)
            return port
        self._metrics.count("rtp_ports_exhausted")
        raise UnavailableError("No free RTP port")


def _write(transport: Any, data: bytes, address: Address, metrics: Metrics) -> None:
    """One datagram out; an unreachable or nonsensical address is logged, never raised."""
    if transport is None:
        return
    try:
        transport.write(data, address)
    except (OSError, InvalidAddressError, MessageLengthError) as error:
        metrics.count("telephony_send_failures")
        log.debug("telephony.send-failed", address=address, error=repr(error))
