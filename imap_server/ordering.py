"""The order of messages by what stands in them (RFC 5256 §2, §3 SORT).

Pure. Whatever a header holds, it has its place: a field that is missing comes first, a date that
cannot be read is the one of arrival, and the message number decides between equals.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

from imap_server.wire.sort import Criterion, SortKey
from um.core.message import Entry
from um.mime.addresses import parse_addresses
from um.mime.headers import decode_text, get
from um.mime.subjects import base_subject

MAX_FIRST_ADDRESS = 4096
"""Octets of an address field that are looked at: only its first address counts."""


@dataclass(frozen=True, slots=True)
class Sortable:
    """A message to be put in order; `header` is its header block."""

    number: int
    entry: Entry
    header: bytes

    def subject(self) -> tuple[str, bool]:
        """Its base subject, ready to be compared, and whether it is a reply or a forward."""
        base, is_reply = base_subject(decode_text(get(self.header, "subject") or b""))
        return collated(base), is_reply

    def sent(self) -> float:
        """Seconds since 1970 of the Date field in UTC (§2.2), or of INTERNALDATE."""
        value = get(self.header, "date")
        if value is not None:
            try:
                parsed = parsedate_tz(value.decode("ascii", "replace"))
                if parsed is not None:
                    # Without a zone that can be read it is UTC (§2.2), wherever the server stands.
                    return float(mktime_tz((*parsed[:9], parsed[9] or 0)))
            except (ValueError, OverflowError, IndexError):
                pass
        return self.arrived()

    def arrived(self) -> float:
        """Seconds since 1970 of INTERNALDATE, whole ones: more is not told, so it may not count."""
        return float(int(self.entry.internal_date.timestamp()))

    def mailbox_of(self, name: str) -> str:
        """The part before the @ of the first address in that field."""
        addresses = parse_addresses((get(self.header, name) or b"")[:MAX_FIRST_ADDRESS])
        mailbox = addresses[0].mailbox if addresses else None
        return collated((mailbox or b"").decode("utf-8", "replace"))


def collated(text: str) -> str:
    """`text` as i;unicode-casemap compares it (RFC 5051 §2): title case, decomposed."""
    return unicodedata.normalize("NFKD", "".join(char.title() for char in text))


_KEYS: Mapping[Criterion, Callable[[Sortable], float | str]] = {
    Criterion.ARRIVAL: Sortable.arrived,
    Criterion.CC: lambda message: message.mailbox_of("cc"),
    Criterion.DATE: Sortable.sent,
    Criterion.FROM: lambda message: message.mailbox_of("from"),
    Criterion.SIZE: lambda message: message.entry.size_octets,
    Criterion.SUBJECT: lambda message: message.subject()[0],
    Criterion.TO: lambda message: message.mailbox_of("to"),
}


def in_order(messages: Sequence[Sortable], keys: Sequence[SortKey]) -> list[Sortable]:
    """`messages`, which come by number, sorted by the first key, then the next, and so on."""
    ordered = list(messages)
    # Named again a criterion decides nothing: what it would compare is equal.
    first = {key.criterion: key for key in reversed(keys)}
    for key in reversed([key for key in keys if first[key.criterion] is key]):
        # Sorting is stable in both directions, so equals keep the order of the keys behind.
        ordered.sort(key=_KEYS[key.criterion], reverse=key.reverse)
    return ordered
