"""Which addresses a webhook may be posted to: the public internet, and what the operator names.

Laws:
- An address counts as what it reaches: one of IPv4 that is written as IPv6 (RFC 4291 §2.5.5.2), or
  that a NAT64 stands for (RFC 6052 §2.1), is that IPv4 address.
- Of IPv6 only global unicast (2000::/3, RFC 4291 §2.4) is public; other ways to wrap an IPv4 address
  (6to4, Teredo, a NAT64 of somebody's own) are not.
- The list is our own: what Python calls global differs from version to version.
"""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_SPECIAL: tuple[Network, ...] = (
    # RFC 6890 and the IANA registries that go on from it
    IPv4Network("0.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),  # shared by carriers (RFC 6598); 100.100.100.200 tells secrets
    IPv4Network("127.0.0.0/8"),
    IPv4Network("169.254.0.0/16"),  # link-local: 169.254.169.254 and its like tell secrets
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.0.0.0/24"),  # 192.0.0.192 tells secrets
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    IPv4Network("192.168.0.0/16"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/4"),
    IPv4Network("240.0.0.0/4"),
    IPv4Network("168.63.129.16/32"),  # public by its number, and a cloud's own service
    IPv6Network("2001::/23"),  # IETF protocols, Teredo among them (RFC 2928)
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4 (RFC 3056)
    IPv6Network("3fff::/20"),  # RFC 9637
)


def may_reach(address: str, allowed: Collection[Network] = ()) -> bool:
    """Whether a webhook may be posted to an IP address.

    Args:
        address: as the resolver gave it, a scope (`%eth0`) included; what is no address may not.
        allowed: networks that the operator lets through, whatever they are.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    reached = _reached(parsed)
    if any(each in network for network in allowed for each in (parsed, reached)):
        return True
    if isinstance(reached, IPv6Address) and reached not in _GLOBAL_UNICAST:
        return False
    return not any(reached in network for network in _SPECIAL)


def _reached(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if not isinstance(address, IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
