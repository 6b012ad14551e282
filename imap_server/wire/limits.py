"""How much a client may send before and after it has logged in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets and counts; before login a stranger gets little (RFC 7888 §7 names the risk)."""

    line_octets_before_login: int = 8_192
    line_octets: int = 65_536
    """One command without its literals (RFC 2683 §3.2.1.5 asks for at least 8000)."""
    literal_octets_before_login: int = 256
    literal_octets: int = 65_536
    """All literals of one command together, the message of APPEND apart."""
    drained_octets_before_login: int = 4_096
    """A non-synchronizing literal beyond this ends the connection: its octets come in any case."""
    append_octets: int = 26_214_400
    """APPENDLIMIT (RFC 7889): the largest message."""
    bad_commands: int = 20
    """So many in a row end the connection."""

    def line(self, *, logged_in: bool) -> int:
        return self.line_octets if logged_in else self.line_octets_before_login

    def literal(self, *, logged_in: bool) -> int:
        return self.literal_octets if logged_in else self.literal_octets_before_login
