"""The messages of one APPEND: made durable one by one, stored together or not at all (RFC 3502)."""

from collections.abc import Callable, Collection
from datetime import datetime

from um.core.errors import InvalidError, NotFoundError, TooLargeError, UnavailableError
from um.core.ids import AccountId, IngestKey
from um.core.message import MessageKind
from um.core.ports import Clock, Transaction
from um.policy.retention import ORPHAN_BLOB_AGE
from um.service.delivery import Delivered, Delivery, Incoming, Staged
from um.service.mailbox_folders import GoneError, NoTargetError

MAX_SECONDS = ORPHAN_BLOB_AGE.total_seconds() / 4


class Appending:
    """What one client appends to one mailbox; ends with `commit` or `discard`.

    Only one message at a time is in memory. It must end within MAX_SECONDS: bodies that nothing names
    are swept after a day (`um.service.sweep`).
    """

    def __init__(
        self,
        delivery: Delivery,
        account_id: AccountId,
        mailbox: str,
        *,
        limit_octets: int,
        new_id: Callable[[], str],
        clock: Clock,
    ) -> None:
        self.size_octets = 0
        """Of all that was added."""
        self._delivery = delivery
        self._account_id = account_id
        self._mailbox = mailbox
        self._limit_octets = limit_octets
        self._new_id = new_id
        self._staged: list[Staged] = []
        self._clock = clock
        self._began = clock.monotonic()

    @property
    def messages(self) -> int:
        """How many were added."""
        return len(self._staged)

    async def add(
        self, data: bytes, *, flags: Collection[str] = (), internal_date: datetime | None = None
    ) -> None:
        """Make one more message durable. Raises TooLargeError, InvalidError, UnavailableError."""
        check_size(len(data), self._limit_octets)
        self._check_time()
        incoming = Incoming(
            account_id=self._account_id,
            kind=MessageKind.MAIL,
            data=data,
            ingest_key=IngestKey(f"append:{self._new_id()}:{self._account_id}"),
            mailbox=self._mailbox,
            flags=flags,
            internal_date=internal_date,
            by_owner=True,
        )
        self._staged.append(await self._delivery.stage(incoming))
        self.size_octets += len(data)

    async def commit(
        self, *, before: Callable[[Transaction], object] | None = None
    ) -> list[Delivered]:
        """Store all of them, or none; `before` is done first in the same transaction.

        Raises NoTargetError, QuotaExceededError, UnavailableError after too long a time, and what the
        account's state says.
        """
        self._check_time()
        staged, self._staged = self._staged, []
        try:
            return await self._delivery.commit(staged, before=before)
        except GoneError:
            raise
        except NotFoundError as error:
            raise NoTargetError from error

    async def discard(self) -> None:
        """Forget what was added."""
        staged, self._staged = self._staged, []
        if staged:
            await self._delivery.discard(staged)

    def _check_time(self) -> None:
        if self._clock.monotonic() - self._began > MAX_SECONDS:
            raise UnavailableError("This has taken too long, begin again")


def check_size(size_octets: int, limit_octets: int) -> None:
    """Raise unless a message may have that size."""
    if size_octets > limit_octets:
        raise TooLargeError
    if not size_octets:
        raise InvalidError("A message of no octets cannot be stored")
