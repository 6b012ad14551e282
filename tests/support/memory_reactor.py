"""A reactor without a network: UDP ports in memory, time moved by hand."""

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock


class MemoryUdp:
    """What `listenUDP` returns."""

    def __init__(self, reactor, protocol, host, port):
        self.reactor, self.protocol, self.address = reactor, protocol, (host, port)
        self.sent = []

    def getHost(self):
        return type("Host", (), {"host": self.address[0], "port": self.address[1]})

    def write(self, data, address):
        self.sent.append((data, address))

    def stopListening(self):
        self.reactor.ports.pop(self.address, None)


class MemoryReactor(Clock):
    """`Reactor` of um.telephony.transport, and `Clock` of um.core.ports (monotonic only)."""

    def __init__(self):
        super().__init__()
        self.ports = {}

    def monotonic(self):
        return self.seconds()

    def listenUDP(self, port, protocol, interface="", maxPacketSize=8192):
        port = port or 40_000 + len(self.ports)  # as a kernel picks one
        if (interface, port) in self.ports:
            raise CannotListenError(interface, port, OSError("taken"))
        udp = MemoryUdp(self, protocol, interface, port)
        self.ports[interface, port] = udp
        return udp

    def pass_time(self, seconds):
        """In steps of 10 ms, as a real loop would wake."""
        for _ in range(round(seconds * 100)):
            self.advance(0.01)
