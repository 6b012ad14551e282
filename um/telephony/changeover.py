"""How a call goes over to T.38 by an offer of ours, and what happens to that offer.

Pure: decides; `um.telephony.renegotiation` sends. One `Changeover` a call.
Laws: G.711 goes on until T.38 is agreed; an offer without an answer is taken back after 5 s; one that
crosses an offer of the other side is tried again, a random while later (RFC 3261 §14.1).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PATIENCE_SECONDS: Final = 5.0
"""How long our offer of T.38 waits; the fax goes on in G.711 all the while."""
GLARE: Final = 491
GONE: Final = frozenset({481})
"""The other side knows of no such call (§12.2.1.2)."""
_TRIES: Final = 4
_STEP_SECONDS: Final = 0.01
_LONGEST_STEPS: Final = 200
"""0 to 2 s in units of 10 ms: the Call-ID is not ours (§14.1)."""


class Next(StrEnum):
    """What to do about an offer that came to nothing."""

    AGAIN = "again"
    STAY = "stay"
    """In G.711."""
    END = "end"
    """There is no call any more."""


@dataclass(slots=True)
class Changeover:
    """The offers of T.38 of one call."""

    tries: int = 0

    def may_try(self) -> bool:
        """Count one more offer; False after the last."""
        self.tries += 1
        return self.tries <= _TRIES

    def refused(self, status: int) -> Next:
        """What a refusal of our offer means."""
        if status in GONE:
            return Next.END
        return Next.AGAIN if status == GLARE else Next.STAY

    @staticmethod
    def pause_seconds(random_bits: int) -> float:
        """How long to wait after a glare, from 32 random bits."""
        return random_bits % (_LONGEST_STEPS + 1) * _STEP_SECONDS
