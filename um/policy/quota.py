"""What fits into a mailbox (product: Quota). Pure: numbers in, decisions out.

Laws:
- Used plus reserved octets never pass the limit through a NORMAL delivery.
- A message no larger than its own live reservation always fits: its room was promised.
- MOVE is neutral and is not asked here; a full mailbox can always be emptied.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from um.core.account import Usage
from um.core.ids import AccountId

NOTICE_ROOM_OCTETS = 64 * 1024
"""What quota notices may take beyond the limit, together."""
TRASH_COPY_PERCENT = 110
"""How far a COPY into Trash may fill the mailbox: clients delete by COPY and EXPUNGE."""
NOTICE_PERCENTS = (80, 95)
REFUSAL_PAUSE = timedelta(hours=24)
_FULL, _TOO_LARGE = "full", "too-large"

MP3_OCTETS_PER_SECOND = 3_000
"""24 kbit/s."""
WAV_OCTETS_PER_SECOND = 16_000
"""16-bit linear, 8000 samples a second."""
VOICE_MIME_OCTETS = 16 * 1024
"""Headers, text part and boundaries around the audio, generously; measured under 4 KiB."""
AUDIO_FRAMING_OCTETS = 4 * 1024
"""Container header, encoder delay and the last frame's padding; measured 504 for 120 s of MP3."""


class Room(StrEnum):
    """Which quota rule a delivery stands under."""

    NORMAL = "normal"
    """Refused when used + reserved + size would pass the limit."""
    NOTICE = "notice"
    """A quota notice: 64 KiB beyond the limit of its own."""
    PROMISED = "promised"
    """Recorded or confirmed already, under a reservation that a crash or a long outage may have
    outlived (replay from the spool): never refused, for nothing confirmed is thrown away."""


def fits(size_octets: int, usage: Usage, *, room: Room = Room.NORMAL, own_octets: int = 0) -> bool:
    """Whether a message of that size may come in.

    Args:
        size_octets: RFC822.SIZE of the message.
        usage: at this moment, under the account's lock, own reservation included.
        room: the rule it stands under.
        own_octets: what the message's own reservation holds now; 0 if it has none.
    """
    if room is Room.PROMISED or size_octets <= own_octets:
        return True
    if room is Room.NOTICE:
        return usage.used_octets + size_octets <= usage.limit_octets + NOTICE_ROOM_OCTETS
    others = usage.reserved_octets - own_octets
    return usage.used_octets + others + size_octets <= usage.limit_octets


def copy_fits(size_octets: int, usage: Usage, *, into_trash: bool) -> bool:
    """Whether COPY may add that many octets in all: never past the limit, into Trash to 110 %."""
    limit = usage.limit_octets
    if into_trash:
        limit = limit * TRASH_COPY_PERCENT // 100
    return usage.used_octets + usage.reserved_octets + size_octets <= limit


def crossed_percent(before_octets: int, after_octets: int, limit_octets: int) -> int | None:
    """The highest notice threshold that lies between the two fillings, or None.

    A threshold is reached at exactly its percentage; going down crosses nothing.
    """
    reached = [
        percent
        for percent in NOTICE_PERCENTS
        if before_octets * 100 < percent * limit_octets <= after_octets * 100
    ]
    return max(reached, default=None)


def percent_to_tell(usage: Usage) -> int:
    """How full the mailbox is, in whole percent up to 100; 0 below the first notice threshold."""
    percent = min(100, usage.used_octets * 100 // usage.limit_octets)
    return percent if percent >= min(NOTICE_PERCENTS) else 0


def refusal_mark(account_id: AccountId) -> str:
    """The house's mark that keeps when an owner was told that something was refused; it goes with them."""
    return f"quota-refused:{account_id}"


def refusal_to_tell(mark: str, usage: Usage, now: datetime) -> str | None:
    """The new mark if the owner is told now that something was refused for want of room, else None.

    Of a full mailbox once, and again only after it fell below the first threshold (`refusal_is_over`
    then); of what is refused though the mailbox is below it, since it was too large, once in 24 hours.
    """
    kind = _FULL if percent_to_tell(usage) else _TOO_LARGE
    told_kind, _, told_at = mark.partition(" ")
    if told_kind == kind == _FULL:
        return None
    if told_kind == kind and now - datetime.fromisoformat(told_at) < REFUSAL_PAUSE:
        return None
    return f"{kind} {now.isoformat()}"


def refusal_is_over(mark: str, usage: Usage) -> bool:
    """Whether a mailbox whose owner was told that it is full has had room again since."""
    return mark.startswith(_FULL) and not percent_to_tell(usage)


def base64_octets(size_octets: int) -> int:
    """Length of `size_octets` in base64 with CRLF after every 76 characters (RFC 2045 §6.8)."""
    characters = 4 * ceil(size_octets / 3)
    return characters + 2 * ceil(characters / 76)


def worst_case_voice_octets(
    seconds: float, *, octets_per_second: int = MP3_OCTETS_PER_SECOND
) -> int:
    """RFC822.SIZE that a voice message of that length cannot pass, in the given encoding."""
    audio = ceil(seconds) * octets_per_second + AUDIO_FRAMING_OCTETS
    return base64_octets(audio) + VOICE_MIME_OCTETS
