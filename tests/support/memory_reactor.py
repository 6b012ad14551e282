"""A reactor without a network: ports and connections in memory, time moved by hand."""

from socket import AF_INET, SOCK_DGRAM, socket

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure


class MemorySocket:
    """What lies under a `MemoryUdp`, to be given away."""

    def __init__(self):
        self.closed = False

    def dup(self):
        return MemorySocket()

    def close(self):
        self.closed = True


class MemoryUdp:
    """What `listenUDP` returns."""

    def __init__(self, reactor, protocol, host, port):
        self.reactor, self.protocol, self.address = reactor, protocol, (host, port)
        self.sent = []
        self.socket = MemorySocket()

    def getHost(self):
        return type("Host", (), {"host": self.address[0], "port": self.address[1]})

    def write(self, data, address):
        self.sent.append((data, address))

    def stopListening(self):
        self.reactor.ports.pop(self.address, None)


class MemoryConnection(StringTransportWithDisconnection):
    """One end of a connection; the other is the test."""

    def __init__(self, protocol, peer):
        super().__init__(peerAddress=IPv4Address("TCP", *peer))
        self.protocol, self.gone = protocol, False
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled):
        """Nothing is slow here."""

    def setTcpKeepAlive(self, enabled):
        """Nothing dies unseen here."""

    def abortConnection(self):
        self.loseConnection()

    def loseConnection(self):
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def write_to(self, data):
        """Say something to the server."""
        self.protocol.dataReceived(data)

    def said(self):
        """What the server wrote since."""
        written = self.value()
        self.clear()
        return written


class MemoryTcp:
    """What `listenTCP` returns."""

    def __init__(self, reactor, factory, host, port):
        self.reactor, self.factory, self.address = reactor, factory, (host, port)

    def getHost(self):
        return type("Host", (), {"host": self.address[0], "port": self.address[1]})

    def connect(self, peer):
        """Connect from `peer`; None when the server closes at once."""
        protocol = self.factory.buildProtocol(IPv4Address("TCP", *peer))
        return None if protocol is None else MemoryConnection(protocol, peer)

    def stopListening(self):
        self.reactor.streams.pop(self.address, None)


class MemoryCall:
    """What `connectTCP` returns: a connection that the test makes or refuses."""

    def __init__(self, reactor, factory, peer):
        self.reactor, self.factory, self.peer = reactor, factory, peer

    def accept(self):
        return MemoryConnection(self.factory.buildProtocol(None), self.peer)

    def refuse(self):
        self.factory.clientConnectionFailed(self, Failure(ConnectError()))

    def disconnect(self):
        self.refuse()


class MemoryReactor(Clock):
    """`Reactor` of um.telephony.transport, and `Clock` of um.core.ports (monotonic only)."""

    def __init__(self):
        super().__init__()
        self.ports = {}
        self.streams = {}
        self.calls_out = []

    def monotonic(self):
        return self.seconds()

    def listenUDP(self, port, protocol, interface="", maxPacketSize=8192):
        port = port or 40_000 + len(self.ports)  # as a kernel picks one
        if (interface, port) in self.ports:
            raise CannotListenError(interface, port, OSError("taken"))
        udp = MemoryUdp(self, protocol, interface, port)
        self.ports[interface, port] = udp
        return udp

    def listenTCP(self, port, factory, backlog=50, interface=""):
        port = port or 40_000 + len(self.streams)
        tcp = self.streams[interface, port] = MemoryTcp(self, factory, interface, port)
        return tcp

    def connectTCP(self, host, port, factory, timeout=30):
        call = MemoryCall(self, factory, (host, port))
        self.calls_out.append(call)
        return call

    def pass_time(self, seconds):
        """In steps of 10 ms, as a real loop would wake."""
        for _ in range(round(seconds * 100)):
            self.advance(0.01)


class MemoryMedia:
    """`MediaSocket`; its `MemoryUdp` stands among the reactor's ports."""

    def __init__(self, reactor, host, port, receive):
        self.reactor, self.receive = reactor, receive
        self.waiting = []
        """Datagrams, their sources and times, that no beat has read."""
        self.resting = False
        self.udp = reactor.listenUDP(port, self, interface=host)

    def datagramReceived(self, data, address):
        if self.resting:
            self.waiting.append((data, address, self.reactor.seconds()))
        else:
            self.receive([(data, address, self.reactor.seconds())])

    def take(self, now, most=512):
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        if taken:
            self.receive(taken)
        return len(taken) < most

    def rest(self, *, resting):
        self.resting = resting
        if not resting:
            self.take(self.reactor.seconds())

    def send(self, data, address):
        self.udp.write(data, address)

    def close(self):
        self.udp.stopListening()

    def detach(self):
        self.close()
        return socket(AF_INET, SOCK_DGRAM)


class MemorySockets:
    """`MediaSockets` whose datagrams are given out at once."""

    def __init__(self, reactor):
        self.reactor = reactor

    def bind(self, host, port, receive):
        try:
            return MemoryMedia(self.reactor, host, port, receive)
        except CannotListenError as error:
            raise OSError("taken") from error

    def read(self, now):
        """Nothing waits."""
