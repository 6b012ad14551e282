"""A mail of our own as words, before it is a message."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Letter:
    """The same thing in two forms; neither is trusted to be free of line ends in `subject`."""

    subject: str
    text: str
    html: str
    """Complete, every value escaped."""
