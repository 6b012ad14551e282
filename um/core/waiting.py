"""What waits for the owner of a number: the values behind the lamp of a telephone (RFC 3842)."""

from dataclasses import dataclass

from um.core.ids import E164, AccountId


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of one kind. The urgent ones are counted among the others too (RFC 3842 §5.2)."""

    new: int = 0
    old: int = 0
    urgent_new: int = 0
    urgent_old: int = 0

    def __add__(self, other: "Waiting") -> "Waiting":
        return Waiting(
            self.new + other.new,
            self.old + other.old,
            self.urgent_new + other.urgent_new,
            self.urgent_old + other.urgent_old,
        )


@dataclass(frozen=True, slots=True)
class Lamp:
    """The lamp of one voice number, as it should show now."""

    number: E164
    account_id: AccountId
    voice: Waiting = Waiting()
    fax: Waiting = Waiting()

    @property
    def on(self) -> bool:
        """Whether anything new waits."""
        return self.voice.new > 0 or self.fax.new > 0
