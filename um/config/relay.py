"""[smtp] `relay` taken apart: where mail goes, and how it gets there. Pure."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

SMTP_PORT, SMTPS_PORT = 25, 465


@dataclass(frozen=True, slots=True)
class RelayUrl:
    """`smtp[s]://[user:password@]host[:port][?starttls=required]`."""

    host: str
    port: int
    implicit_tls: bool
    username: str = ""
    password: str = field(default="", repr=False)
    starttls_required: bool = False

    @property
    def is_loopback(self) -> bool:
        """It is written as an address of this very machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def needs_tls(self) -> bool:
        """Nothing is sent before TLS: so the operator says, or a password is to be sent outside."""
        return self.starttls_required or (bool(self.username) and not self.is_loopback)


def parse_relay(url: str) -> RelayUrl:
    """Read the URL. Raises ValueError, never showing what may be a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT")
    options = parse_qs(parts.query, keep_blank_values=True)
    if options not in ({}, {"starttls": ["required"]}):
        raise ValueError("the only option of a relay is ?starttls=required")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("a relay has a user name and a password, or neither")
    implicit = parts.scheme == "smtps"
    return RelayUrl(
        host=parts.hostname,
        port=port or (SMTPS_PORT if implicit else SMTP_PORT),
        implicit_tls=implicit,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls_required=bool(options) and not implicit,
    )
