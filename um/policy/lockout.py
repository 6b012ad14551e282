"""How many wrong secrets are too many (product: PIN; reliability: logins).

Failures are counted in a sliding window and last across connections, restarts and nodes. A count
turns into a pause after the last failure; attempts during a pause are refused unread and are not
counted, so that a guesser cannot prolong what shuts out the owner.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from um.core.ids import AccountId
from um.core.origin import origin

WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Pause:
    """From `failures` in the window on, nothing is tried for `pause` after the last failure."""

    failures: int
    pause: timedelta


PIN_RULES = (Pause(10, WINDOW),)
"""Locked while 10 failures lie within 24 h (setting a new PIN clears them)."""
LOGIN_FROM_PEER_RULES = (
    Pause(5, timedelta(seconds=15)),
    Pause(10, timedelta(minutes=15)),
    Pause(20, WINDOW),
)
"""One account from one address: a slow-down, then a lock that lasts."""
LOGIN_RULES = (
    Pause(50, timedelta(seconds=5)),
    Pause(200, timedelta(seconds=30)),
)
"""One account from anywhere: many addresses together are slowed, but cannot shut the owner out."""


def pause_after(failures: int, rules: tuple[Pause, ...]) -> timedelta:
    """How long after the last of so many failures the next attempt may come."""
    pauses = [rule.pause for rule in rules if failures >= rule.failures]
    return max(pauses, default=timedelta(0))


def pin_subject(account_id: AccountId) -> str:
    """The counter of wrong PINs of an account, whichever line they are keyed on."""
    return f"pin:{_digest(account_id)}"


def login_subject(name: str, stored_hash: str) -> str:
    """The counter of wrong passwords for a name.

    The stored hash is part of it, so that a new password begins with a clean slate; the digest
    keeps names and addresses out of the table.
    """
    return f"login:{_digest(name, stored_hash)}"


def login_from_peer_subject(name: str, stored_hash: str, peer: str) -> str:
    """The counter of wrong passwords for a name from one address, or one network of IPv6."""
    return f"login-peer:{_digest(name, stored_hash, origin(peer))}"


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
