"""The socket of a telephone's sound, with its neighbour kept from others.

The far end sends RTCP to the next higher port (RFC 3550 §11), which must not be another telephone's.
"""

import socket

TRIES = 1_000


class MediaSocket(socket.socket):
    """An RTP socket on an even port of the system's choice, not blocking.

    The odd port after it is bound until this one is closed; what comes there is not read.

    Raises OSError if no pair is to be had.
    """

    def __init__(self, host: str) -> None:
        """`host`: an address of this machine, IPv4 or IPv6."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(TRIES):
            super().__init__(family, socket.SOCK_DGRAM)
            self._rtcp = socket.socket(family, socket.SOCK_DGRAM)
            self.bind((host, 0))
            port = self.getsockname()[1]
            if port % 2 == 0 and _is_bound(self._rtcp, (host, port + 1)):
                self.setblocking(False)
                return
            self.close()
        raise OSError("no two neighbouring ports are free")

    def close(self) -> None:
        """Let both ports go."""
        self._rtcp.close()
        super().close()


def _is_bound(each: socket.socket, address: tuple[str, int]) -> bool:
    try:
        each.bind(address)
    except OSError:
        return False
    return True
