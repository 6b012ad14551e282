"""Where somebody comes from, as far as counting goes: what one customer of a network can choose from.

One IPv4 address is one origin. Of IPv6 a customer is given at least a whole /64 (RFC 6177 §2,
RFC 4291 §2.5.4) and can use another address for each attempt, so that the /64 is what is counted.
"""

from ipaddress import IPv6Address, IPv6Network, ip_address

PREFIX_BITS = 64


def origin(address: str) -> str:
    """The address that attempts from `address` are counted under.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address; what is no address
    ("unknown") is itself.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed.is_loopback:
        return str(parsed)
    return str(IPv6Network((parsed, PREFIX_BITS), strict=False))
