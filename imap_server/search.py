"""SEARCH evaluated on one message, as far as what is known of it allows (RFC 3501 §6.4.4).

Pure, in three-valued logic: `matches` says yes, no, or None: what was loaded does not decide it.
So a search first runs over the index alone, then loads headers of those in doubt, then bodies of
those still in doubt, and `NOT SEEN BODY x` reads no body of a message that was seen.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from email.utils import parsedate

from imap_server.candidate import Candidate, folded
from imap_server.wire.search import (
    All,
    And,
    BodyContains,
    HasEmailId,
    HasFlag,
    HeaderContains,
    InternalDate,
    IsRecent,
    Larger,
    ModSeqAtLeast,
    Not,
    Numbers,
    Or,
    SavedDate,
    SearchKey,
    SentDate,
    Smaller,
    When,
    Within,
)
from imap_server.wire.sequence import contains
from um.core.ids import ContentId
from um.mime.headers import get
from um.service.octet_cache import OctetCache

REMEMBERED_OCTETS = 32 * 1024
"""Longer texts are folded anew for each search."""


class Question:
    """A search key made ready for one mailbox: sets resolved, texts folded."""

    def __init__(
        self,
        key: SearchKey,
        *,
        messages: int,
        largest_uid: int,
        now: datetime,
        saved: Collection[int] = (),
        memory: OctetCache[ContentId] | None = None,
    ) -> None:
        self._memory = OctetCache(0) if memory is None else memory
        self.weight = _weight(key)
        """How many keys may have to be asked of one message."""
        self._key = key
        self._now = now
        self._saved = frozenset(saved)
        self._messages = messages
        self._largest_uid = largest_uid
        self._ranges: dict[int, Sequence[tuple[int, int]]] = {}
        """By the set's `id`: to compare thousands of ranges for each message would take long."""
        self._folded: dict[str, bytes] = {}
        self._groups: dict[str, bytes] = {}

    def matches(self, candidate: Candidate) -> bool | None:
        """Whether the message matches; None if that hangs on what is not loaded."""
        return self._matches(self._key, candidate)

    def _matches(self, key: SearchKey, message: Candidate) -> bool | None:
        match key:
            case And():
                return self._all(key.keys, message)
            case Or():
                return self._either(key, message)
            case Not():
                answer = self._matches(key.key, message)
                return None if answer is None else not answer
            case HeaderContains():
                return self._in_header(key, message)
            case SentDate():
                return _sent(key, message)
            case BodyContains():
                return self._in_text(key, message)
            case _:
                return self._in_index(key, message)

    def _in_index(self, key: SearchKey, message: Candidate) -> bool:
        match key:
            case All():
                return True
            case HasFlag():
                return _has_flag(message.entry.flags, key.flag)
            case IsRecent():
                return message.recent
            case Larger():
                return message.entry.size_octets > key.octets
            case Smaller():
                return message.entry.size_octets < key.octets
            case InternalDate():
                return _compare(key.when, message.entry.internal_date.date(), key.day)
            case Numbers():
                return self._is_numbered(key, message)
            case Within():
                return _is_within(key, message.entry.internal_date, self._now)
            case SavedDate():
                return _compare(key.when, message.entry.saved_at.date(), key.day)
            case HasEmailId():
                return message.entry.content_id == key.identifier
            case ModSeqAtLeast():
                return message.entry.modseq >= key.modseq
        raise AssertionError(key)

    def _all(self, keys: Sequence[SearchKey], message: Candidate) -> bool | None:
        answer: bool | None = True
        for key in keys:
            one = self._matches(key, message)
            if one is False:
                return False
            if one is None:
                answer = None
        return answer

    def _either(self, key: Or, message: Candidate) -> bool | None:
        left = self._matches(key.left, message)
        if left:
            return True
        right = self._matches(key.right, message)
        if right or (left is False and right is False):
            return right
        return None

    def _is_numbered(self, key: Numbers, message: Candidate) -> bool:
        if key.messages.saved:
            return message.entry.uid in self._saved
        ranges = self._ranges.get(id(key.messages))
        if ranges is None:
            ranges = key.messages.resolve(self._largest_uid if key.by_uid else self._messages)
            self._ranges[id(key.messages)] = ranges
        return contains(ranges, message.entry.uid if key.by_uid else message.number)

    def _in_header(self, key: HeaderContains, message: Candidate) -> bool | None:
        group = self._groups.get(key.name)
        if group is None:
            group = self._groups[key.name] = b"field " + key.name.lower().encode("utf-8", "replace")
        values = self._memory.get(group, message.entry.content_id)
        if values is None:
            if message.header is None:
                return None
            values = message.field_values(key.name)
            if len(values) <= REMEMBERED_OCTETS:
                self._memory.put(group, message.entry.content_id, values)
        return self._folded_octets(key.text) in values if key.text else bool(values)

    def _in_text(self, key: BodyContains, message: Candidate) -> bool | None:
        if not key.header:
            return self._in_body(key, message)
        wanted = self._folded_octets(key.text)
        if message.header is not None and wanted in message.whole_header():
            return True
        if message.text is None:
            return None
        return wanted in message.parts() or wanted in message.body()

    def _in_body(self, key: BodyContains, message: Candidate) -> bool | None:
        content_id = message.entry.content_id
        body = self._memory.get(b"body", content_id)
        if body is None:
            if message.text is None:
                return None
            body = message.body()
            if len(body) <= REMEMBERED_OCTETS:
                self._memory.put(b"body", content_id, body)
        return self._folded_octets(key.text) in body

    def _folded_octets(self, text: str) -> bytes:
        octets = self._folded.get(text)
        if octets is None:
            octets = self._folded[text] = folded(text)
        return octets


def _weight(key: SearchKey) -> int:
    match key:
        case And():
            return sum(map(_weight, key.keys))
        case Or():
            return _weight(key.left) + _weight(key.right)
        case Not():
            return _weight(key.key)
        case _:
            return 1


def _is_within(key: Within, instant: datetime, now: datetime) -> bool:
    """RFC 5032 §3: exact to the second, and what is just as old is both."""
    target = now.replace(microsecond=0) - timedelta(seconds=key.seconds)
    instant = instant.replace(microsecond=0)
    return instant <= target if key.older else instant >= target


def _has_flag(flags: frozenset[str], wanted: str) -> bool:
    if wanted in flags:
        return True
    folded = wanted.lower()
    return any(flag.lower() == folded for flag in flags)


def _sent(key: SentDate, message: Candidate) -> bool | None:
    if message.header is None:
        return None
    value = get(message.header, "date")
    parsed = parsedate(value.decode("ascii", "replace")) if value is not None else None
    if parsed is None:
        return False
    try:
        return _compare(key.when, date(*parsed[:3]), key.day)
    except (ValueError, OverflowError):  # a year of twenty digits
        return False


def _compare(when: When, day: date, wanted: date) -> bool:
    if when is When.ON:
        return day == wanted
    return day < wanted if when is When.BEFORE else day >= wanted
