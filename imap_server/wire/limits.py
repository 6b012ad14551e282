"""How much a client may send before and after it has logged in."""

from dataclasses import dataclass

LITERAL_MINUS_OCTETS = 4096
UNLIMITED = 1 << 63


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
    literal_minus: bool = False
    """LITERAL- in place of LITERAL+ (RFC 7888 §5): non-synchronizing literals of at most 4096."""
    append_octets: int = 26_214_400
    """APPENDLIMIT (RFC 7889): the largest message."""
    bad_commands: int = 20
    """So many in a row end the connection."""

    def non_synchronizing(self) -> int:
        """The largest non-synchronizing literal, where that is less than the other limits."""
        return LITERAL_MINUS_OCTETS if self.literal_minus else UNLIMITED

    def line(self, *, logged_in: bool) -> int:
        return self.line_octets if logged_in else self.line_octets_before_login

    def literal(self, *, logged_in: bool) -> int:
        return self.literal_octets if logged_in else self.literal_octets_before_login
