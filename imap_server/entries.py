"""What one session knows of the messages of its mailbox: a shared index, and what differs from it."""

from collections.abc import Iterable, Iterator, Mapping

from um.core.ids import Uid
from um.core.message import Entry


class Entries:
    """Entries by UID. The base is shared between sessions and never changed here."""

    def __init__(self, base: Mapping[Uid, Entry]) -> None:
        self._base = base
        self._own: dict[Uid, Entry] = {}
        self._dropped: set[Uid] = set()

    def is_based_on(self, base: Mapping[Uid, Entry]) -> bool:
        """Whether nothing but `base` is in it."""
        return self._base is base and not self._own and not self._dropped

    def __getitem__(self, uid: Uid) -> Entry:
        own = self._own.get(uid)
        if own is not None:
            return own
        if uid in self._dropped:
            raise KeyError(uid)
        return self._base[uid]

    def __setitem__(self, uid: Uid, entry: Entry) -> None:
        self._own[uid] = entry

    def __delitem__(self, uid: Uid) -> None:
        self._own.pop(uid, None)
        if uid in self._base:
            self._dropped.add(uid)

    def __contains__(self, uid: object) -> bool:
        return uid in self._own or (uid in self._base and uid not in self._dropped)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Uid]:
        yield from (uid for uid in self._base if uid not in self._dropped)
        yield from (uid for uid in self._own if uid not in self._base or uid in self._dropped)

    def get(self, uid: Uid) -> Entry | None:
        """The entry, or None."""
        try:
            return self[uid]
        except KeyError:
            return None

    def many(self, uids: Iterable[Uid]) -> list[Entry]:
        """The entries of `uids`, all of which are there."""
        if not self._own and not self._dropped:
            return list(map(self._base.__getitem__, uids))
        return [self[uid] for uid in uids]

    def known(self, uids: Iterable[Uid]) -> list[Entry | None]:
        """Of each of `uids` its entry, or None."""
        if not self._own and not self._dropped:
            return list(map(self._base.get, uids))
        return [self.get(uid) for uid in uids]

    def update(self, entries: Mapping[Uid, Entry]) -> None:
        """Take these in, new or in place of what was known."""
        self._own.update(entries)
