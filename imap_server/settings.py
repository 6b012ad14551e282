"""What an operator may set of the IMAP server."""

from dataclasses import dataclass, field

from imap_server.capabilities import ClientMask
from imap_server.wire.limits import Limits


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Defaults are the product's. Times in seconds."""

    allow_plaintext_login: bool = False
    """LOGIN and AUTHENTICATE PLAIN without TLS; for tests on loopback only."""
    max_connections: int = 10_000
    max_connections_per_account: int = 20
    max_connections_per_address: int = 50
    login_timeout_seconds: float = 60
    """From connect to the end of a successful login."""
    idle_timeout_seconds: float = 1800
    """Autologout (RFC 3501 §5.4: at least 30 minutes). IDLE is not subject to it: its keep-alive
    shows that the client is there."""
    keep_alive_seconds: float = 120
    """Between two `* OK` during IDLE: less than the memory of any NAT."""
    stall_timeout_seconds: float = 600
    """A client that reads nothing for so long while we have something to say is gone."""
    max_incoming_octets: int = 268_435_456
    """Of all messages being appended at one instant: they are held in memory until stored."""
    search_timeout_seconds: float = 30
    """SEARCH, SORT and THREAD that look for longer end with NO [LIMIT]."""
    max_login_failures: int = 5
    """Then BYE. The delay before each answer doubles from one second."""
    compress: bool = False
    """COMPRESS=DEFLATE: costs about 110 kB for each connection, and time on the loop."""
    disabled_capabilities: frozenset[str] = frozenset()
    """Names that nobody is offered, should clients trip over one."""
    client_masks: tuple[ClientMask, ...] = ()
    """Names that certain programs are not offered."""
    server_name: str = "UM"
    limits: Limits = field(default_factory=Limits)
