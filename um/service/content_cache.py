"""Rendered contents, kept while room lasts: immutable, so that a hit is always right."""

from collections import OrderedDict
from collections.abc import Collection

from um.core.ids import ContentId
from um.core.message import Content

OVERHEAD_OCTETS = 600
"""About what the objects around the octets of one Content take."""


class ContentCache:
    """The least recently used go first. Call it on the loop's thread only."""

    def __init__(self, limit_octets: int) -> None:
        self._limit = limit_octets
        self._used = 0
        self._contents: OrderedDict[ContentId, Content] = OrderedDict()

    @property
    def used_octets(self) -> int:
        """What is kept now."""
        return self._used

    def get(self, ids: Collection[ContentId]) -> dict[ContentId, Content]:
        """Those of `ids` that are kept."""
        found = {}
        for content_id in ids:
            content = self._contents.get(content_id)
            if content is not None:
                self._contents.move_to_end(content_id)
                found[content_id] = content
        return found

    def put(self, contents: Collection[Content]) -> None:
        """Keep `contents`; the oldest make room."""
        for content in contents:
            if content.id in self._contents:
                continue
            self._contents[content.id] = content
            self._used += _octets(content)
        while self._used > self._limit:
            _, oldest = self._contents.popitem(last=False)
            self._used -= _octets(oldest)

    def clear(self) -> None:
        """Forget all."""
        self._contents.clear()
        self._used = 0


def _octets(content: Content) -> int:
    return OVERHEAD_OCTETS + sum(
        len(octets)
        for octets in (
            content.envelope,
            content.body,
            content.bodystructure,
            content.structure,
            content.header,
        )
    )
