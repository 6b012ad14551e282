"""Passwords and PINs as argon2id hashes, checked off the loop.

Laws:
- At most `threads` checks run and at most `queue` wait; beyond that a check is refused as
  unavailable for the moment, so that a flood of logins cannot take all memory.
- A success is remembered for five minutes under HMAC(secret, stored hash) with a key of this
  process: a new stored hash makes the memory worthless at once. Failures are never remembered.
"""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import argon2
import structlog
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from um.core.errors import UnavailableError
from um.core.ports import Clock

T = TypeVar("T")

log = structlog.get_logger(__name__)

CACHE_SECONDS = 300.0
CACHE_ENTRIES = 10_000

UNMATCHABLE_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$"
    "xK1YpA6u7Yk0mQxkq3cWbg$8rHcS0kM0l9m1Wf6wqj5o8u6bq0l7n2Yx3s4t5u6v7w"
)
"""Verified against where there is no account, so that the answer takes as long as for one."""


class Argon2Hasher:
    """`um.core.ports.PasswordHasher`: argon2id, t=2, m=19 MiB, p=1 (55 ms a check)."""

    def __init__(
        self,
        clock: Clock,
        *,
        threads: int = 2,
        queue: int = 64,
        time_cost: int = 2,
        memory_kib: int = 19 * 1024,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost, memory_cost=memory_kib, parallelism=1
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free = threads + queue
        self._successes = _Successes(clock)

    async def hash(self, secret: str) -> str:
        """A new salted hash in PHC form. Raises UnavailableError when too many are waiting."""
        return await self._run(partial(self._argon2.hash, _octets(secret)))

    async def verify(self, secret: str, stored: str) -> bool:
        """Whether `secret` made `stored`. Raises UnavailableError when too many are waiting."""
        if self._successes.has(secret, stored):
            return True
        matches = await self._run(partial(self._matches, secret, stored))
        if matches:
            self._successes.add(secret, stored)
        return matches

    def close(self) -> None:
        """End the threads; checks that wait are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._free <= 0:
            raise UnavailableError("Too many logins at once, try again")
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._free += 1

    def _matches(self, secret: str, stored: str) -> bool:
        try:
            return self._argon2.verify(stored, _octets(secret))
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError):
            log.exception("stored hash is damaged")
            return False


class _Successes:
    """Proofs of recent successes, oldest first, bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def has(self, secret: str, stored: str) -> bool:
        return self._until.get(self._proof(secret, stored), 0.0) > self._clock.monotonic()

    def add(self, secret: str, stored: str) -> None:
        proof = self._proof(secret, stored)
        self._until.pop(proof, None)
        self._until[proof] = self._clock.monotonic() + CACHE_SECONDS
        if len(self._until) > CACHE_ENTRIES:
            self._until.popitem(last=False)

    def _proof(self, secret: str, stored: str) -> bytes:
        # A stored hash holds no NUL, so that the pair cannot be cut in two ways.
        message = stored.encode() + b"\0" + _octets(secret)
        return hmac.digest(self._key, message, "sha256")


def _octets(secret: str) -> bytes:
    # A client's octets that are no UTF-8 arrive as surrogates; they shall be wrong, not an error.
    return secret.encode("utf-8", "surrogatepass")
