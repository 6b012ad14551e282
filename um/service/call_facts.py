"""What is known of a call to a mailbox besides its media, as the spool keeps it: text to text, durable.

A replay after a crash has nothing else: all that the message's headers say of the call stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from um.core.ids import E164, AccountId, ReservationId


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call to one mailbox."""

    account_id: AccountId
    number: E164
    """The number that was called; empty for a file delivered to an account without one."""
    caller_number: str
    """Empty if withheld."""
    caller_name: str
    started_at: datetime
    """When the call was answered."""
    call_id: str
    cause: str
    reservation_id: ReservationId | None
    urgent: bool = False
    """The caller said so at the end."""

    @classmethod
    def of_file(
        cls,
        key: str,
        account_id: AccountId,
        number: E164,
        *,
        caller: tuple[str, str],
        when: datetime,
    ) -> "CallFacts":
        """Of a file that an operator delivers: `caller` is number and name, `key` its only id."""
        return cls(
            account_id=account_id,
            number=number,
            caller_number=caller[0],
            caller_name=caller[1],
            started_at=when,
            call_id=key,
            cause="",
            reservation_id=None,
        )

    def write(self, kind: str) -> dict[str, str]:
        """As the spool keeps them; `kind` names the application that can deliver the entry."""
        return {
            "kind": kind,
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
