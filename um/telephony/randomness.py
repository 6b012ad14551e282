"""Where tags, branches, SSRCs and ports come from: an argument, so that a test can repeat a run."""

from typing import Protocol


class Randomness(Protocol):
    """What we ask of a source of randomness; `random.SystemRandom()` is one."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of `k` random bits."""
        ...


def token(source: Randomness, bits: int = 96) -> str:
    """A random token of hexadecimal digits (tags need 32 bits, RFC 3261 §19.3)."""
    return f"{source.getrandbits(bits):0{bits // 4}x}"
