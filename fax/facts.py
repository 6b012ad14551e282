"""What is known of a fax besides its pages, as the spool keeps it: text to text, durable.

`CallFacts` is written before the first page, `ReceptionFacts` when the call has ended; a replay of
a call whose server died finds only the former, and makes a partial fax of what pages there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fax.protocol import Ended
from um.core.ids import E164, AccountId, ReservationId

KIND = "fax"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One fax call to one mailbox."""

    account_id: AccountId
    number: E164
    """The number that was called."""
    caller_number: str
    """Empty if withheld."""
    caller_name: str
    started_at: datetime
    call_id: str
    cause: str
    reservation_id: ReservationId | None

    def write(self) -> dict[str, str]:
        """As the spool keeps them."""
        return {
            "kind": KIND,
            "account": self.account_id,
            "number": self.number,
            "caller_number": self.caller_number,
            "caller_name": self.caller_name,
            "started_at": self.started_at.isoformat(),
            "call_id": self.call_id,
            "cause": self.cause,
            "reservation": self.reservation_id or "",
        }

    @classmethod
    def read(cls, facts: Mapping[str, str]) -> "CallFacts":
        """From the spool. Raises KeyError or ValueError if they are not what `write` wrote."""
        started_at = datetime.fromisoformat(facts["started_at"])
        if started_at.tzinfo is None:
            raise ValueError("an instant without its zone")
        reservation = facts["reservation"]
        return cls(
            account_id=AccountId(facts["account"]),
            number=E164(facts["number"]),
            caller_number=facts["caller_number"],
            caller_name=facts["caller_name"],
            started_at=started_at,
            call_id=facts["call_id"],
            cause=facts["cause"],
            reservation_id=ReservationId(reservation) if reservation else None,
        )


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
