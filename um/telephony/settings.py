"""What the operator sets of telephony, as the composition root passes it in."""

from dataclasses import dataclass

from um.telephony.routing import MAILBOX_PLACES


@dataclass(frozen=True, slots=True)
class TelephonySettings:
    """Addresses are text as in the configuration; `start` raises InvalidError for bad ones."""

    listen: tuple[str, ...] = ("udp:127.0.0.1:5070",)
    """`udp:`, `tcp:` and `tls:`, each on its own port or, UDP beside TCP, on the same."""
    rtp_ports: tuple[int, int] = (20_000, 20_998)
    """RTP on even numbers, the pair within the range."""
    trusted_cores: tuple[str, ...] = ("127.0.0.0/8",)
    """Networks that may send calls; whoever else does gets no answer."""
    mailbox_from: tuple[str, ...] = MAILBOX_PLACES
    max_call_seconds: float = 7200
    no_media_seconds: float = 30
    session_expires_seconds: int = 1800
    """How long a call may last without a sign of the core's (RFC 4028); 0: asked for by the core only."""
    min_session_expires_seconds: int = 90
    """A core that wants shorter sessions is told so (422)."""
    send_silence: bool = False
    """Send silence where nothing is spoken, for cores that take a pause for a dead call."""
    max_calls: int = 500
    """Beyond it a new call gets 503."""
    takes_t38: bool = True
    """A call that is being spoken to may become a fax by the core's re-INVITE to T.38."""
    advertised: str | None = None
    """IP address in Via, Contact and SDP; None: the one we listen on or, of a wildcard, the one
    that faces the first trusted network."""
    server_name: str = "um"
