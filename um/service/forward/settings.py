"""What the operator decides about what leaves the house."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForwardSettings:
    """[smtp] `forward_from` and [web] `public_url`."""

    domain: str
    """Of our mailboxes."""
    forward_from: str
    """The From address; its domain is also that of the envelope sender."""
    public_url: str
    """Where links lead, without a slash at its end."""

    @property
    def envelope_domain(self) -> str:
        """Bounces come back to this domain."""
        return self.forward_from.rpartition("@")[2].lower()
