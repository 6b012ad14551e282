"""What a store may answer on the caller's thread, because it need not wait for it.

A thread costs an IMAP session 0.1 to 0.3 ms each way; a row by its key, or octets that the kernel
has in memory, cost a tenth of that. A store that cannot do it lacks the method, and who asks goes
the long way: nothing but time depends on it.
"""

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, runtime_checkable

from um.core.ids import BlobKey
from um.core.ports import Store, Transaction

T = TypeVar("T")


@runtime_checkable
class BlobsAtOnce(Protocol):
    """A `BlobStore` that may have a blob at hand. Call it on the loop's thread only."""

    def get_at_once(self, key: BlobKey, start: int, length: int) -> bytes | None:
        """Exactly these octets, or None: ask `get` for them, or for what is wrong."""
        ...


class Glance(Protocol):
    """`Store.read`, for work that reads a few rows by their keys."""

    async def __call__(self, name: str, work: Callable[[Transaction], T], /) -> T: ...


@runtime_checkable
class Glancing(Protocol):
    """A `Store` that may look up a few rows without a thread. Call it on the loop's thread only."""

    @property
    def glances(self) -> bool:
        """Whether it does: if not, `glance` is no quicker than `read`."""
        ...

    async def glance(self, name: str, work: Callable[[Transaction], T], /) -> T:
        """As `Store.read`, for work that reads a few rows by their keys."""
        ...

    def stamp(self) -> Hashable | None:
        """Equal to an earlier one only if nothing was committed in between, by whatever process.

        What was read after the earlier one is then what would be read now. None: nobody knows.
        """
        ...


def glance_of(store: Store) -> Glance:
    """The quickest way to a few rows of `store`."""
    return store.glance if isinstance(store, Glancing) else store.read
