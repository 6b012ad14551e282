"""Addresses as the configuration writes them: where to listen, who is trusted.

A host is an IP address, never a name: what a name means changes with the resolver, and a listener
that binds elsewhere than meant is a hole.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

SIP_TRANSPORTS = ("udp", "tcp", "tls")
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on. Port 0 lets the system choose one."""

    host: str
    port: int
    transport: str = "tcp"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: object) -> Listen:
    """Read `127.0.0.1:1143` or `[::1]:1143`. Raises ValueError with the reason."""
    host, port = _host_and_port(_as_text(text))
    return Listen(host, port)


def parse_sip_listen(text: object) -> Listen:
    """Read `udp:127.0.0.1:5060` (or `tcp:`, `tls:`). Raises ValueError with the reason."""
    transport, separator, rest = _as_text(text).partition(":")
    if not separator or transport.lower() not in SIP_TRANSPORTS:
        raise ValueError("must begin with udp:, tcp: or tls:")
    host, port = _host_and_port(rest)
    return Listen(host, port, transport.lower())


def parse_network(text: object) -> Network:
    """Read `10.0.0.0/8`, `::1/128` or a single address. Raises ValueError with the reason."""
    return ip_network(_as_text(text))


def contains(networks: tuple[Network, ...], host: str) -> bool:
    """Whether the IP address `host` is in one of `networks`; no address is in none.

    An IPv4 peer of a dual-stack socket (`::ffff:192.0.2.1`) counts as the IPv4 address it is.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - pydantic reports ValueError
    return value.strip()


def _host_and_port(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or not host:
        raise ValueError("must be HOST:PORT, or [HOST]:PORT for IPv6")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:PORT")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError("the port must be a number from 0 to 65535")
    try:
        return str(ip_address(host)), int(port)
    except ValueError:
        raise ValueError("the host must be an IP address, such as 127.0.0.1 or [::]") from None
