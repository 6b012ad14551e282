"""What is known of a fax besides its pages: the facts of its call, and how its session went.

`CallFacts` is written before the first page, `ReceptionFacts` when the call has ended; a replay of
a call whose server died finds only the former, and makes a partial fax of what pages there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fax.protocol import Ended

KIND = "fax"

TAKEN = "fax"
MISSED = "missed-fax"
"""Kinds of the history's lines, with `um.service.history.REFUSED`."""


@dataclass(frozen=True, slots=True)
class ReceptionFacts:
    """How the fax session went."""

    complete: bool = False
    detail: str = "the call broke off"
    station_id: str = ""
    """TSI, unclean."""
    bit_rate: int | None = None
    ecm: bool | None = None
    y_resolution_dpi: int | None = None
    seconds: float = 0.0
    """From the answer to the end."""

    @classmethod
    def of(cls, ended: Ended, *, seconds: float) -> "ReceptionFacts":
        """What the child said."""
        trained = ended.bit_rate > 0
        return cls(
            complete=ended.complete,
            detail=ended.detail,
            station_id=ended.station_id,
            bit_rate=ended.bit_rate if trained else None,
            ecm=ended.ecm if trained else None,
            y_resolution_dpi=ended.y_resolution_dpi or None,
            seconds=seconds,
        )

    def write(self) -> dict[str, str]:
        """As the spool keeps them."""
        return {
            "complete": "yes" if self.complete else "no",
            "detail": self.detail,
            "station_id": self.station_id,
            "bit_rate": "" if self.bit_rate is None else str(self.bit_rate),
            "ecm": "" if self.ecm is None else ("yes" if self.ecm else "no"),
            "y_resolution_dpi": "" if self.y_resolution_dpi is None else str(self.y_resolution_dpi),
            "seconds": f"{self.seconds:.3f}",
        }

    @classmethod
    def read(cls, facts: Mapping[str, str]) -> "ReceptionFacts":
        """From the spool; the defaults if the entry was never sealed. Raises KeyError, ValueError."""
        if "complete" not in facts:
            return cls()
        return cls(
            complete=facts["complete"] == "yes",
            detail=facts["detail"],
            station_id=facts["station_id"],
            bit_rate=int(facts["bit_rate"]) if facts["bit_rate"] else None,
            ecm=facts["ecm"] == "yes" if facts["ecm"] else None,
            y_resolution_dpi=int(facts["y_resolution_dpi"]) if facts["y_resolution_dpi"] else None,
            seconds=float(facts["seconds"]),
        )
