"""argon2id hashing with a pool and a short memory."""

import asyncio

import pytest

from tests.support.clock import FakeClock
from um.core.errors import UnavailableError
from um.service.passwords import CACHE_ENTRIES, UNMATCHABLE_HASH, Argon2Hasher, _Successes


def quick(clock=None, **more):
    """The same algorithm with cheap parameters."""
    return Argon2Hasher(clock or FakeClock(), time_cost=1, memory_kib=64, **more)


def test_hashes_are_argon2id_with_the_parameters_of_the_house():
    async def story():
        stored = await Argon2Hasher(FakeClock()).hash("secret")
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")

    asyncio.run(story())


def test_the_hash_for_nobody_is_well_formed_and_as_dear_as_a_real_one():
    """Otherwise an unknown name would be answered faster."""

    async def story():
        assert not await Argon2Hasher(FakeClock()).verify("", UNMATCHABLE_HASH)
        assert UNMATCHABLE_HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")

    asyncio.run(story())


def test_right_and_wrong_and_damaged():
    async def story():
        hasher = quick()
        stored = await hasher.hash("pässword")
        assert stored != await hasher.hash("pässword")
        assert await hasher.verify("pässword", stored)
        for wrong in ("", "passwort", "\udcff", "pässword\0"):
            assert not await hasher.verify(wrong, stored)
        assert not await hasher.verify("pässword", "$argon2id$broken")

    asyncio.run(story())


def test_a_success_is_remembered_for_five_minutes_for_this_hash_only():
    async def story():
        clock = FakeClock()
        hasher = quick(clock)
        stored, other = await hasher.hash("secret"), await hasher.hash("secret")
        checked = []
        matches = hasher._matches
        hasher._matches = lambda *pair: checked.append(pair) or matches(*pair)
        for _ in range(3):
            assert await hasher.verify("secret", stored)
        assert len(checked) == 1
        assert await hasher.verify("secret", other)
        assert len(checked) == 2
        assert not await hasher.verify("wrong", stored)
        assert not await hasher.verify("wrong", stored)
        assert len(checked) == 4
        clock.advance(301)
        assert await hasher.verify("secret", stored)
        assert len(checked) == 5

    asyncio.run(story())


def test_the_memory_is_bounded():
    successes = _Successes(FakeClock())
    for number in range(CACHE_ENTRIES + 10):
        successes.add(str(number), "hash")
    assert len(successes._until) == CACHE_ENTRIES
    assert not successes.has("0", "hash")
    assert successes.has(str(CACHE_ENTRIES), "hash")


def test_a_flood_is_refused_for_the_moment():
    """Two run and one waits: the rest hear 'try again', and later there is room again."""

    async def story():
        hasher = quick(threads=2, queue=1)
        done = await asyncio.gather(*(hasher.hash("x") for _ in range(10)), return_exceptions=True)
        refused = [each for each in done if isinstance(each, UnavailableError)]
        assert len(refused) == 7
        assert await hasher.hash("x")
        hasher.close()

    asyncio.run(story())


def test_surrogates_in_a_password_are_hashed_like_any_octets():
    async def story():
        hasher = quick()
        with pytest.raises(UnicodeEncodeError):
            "\udcff".encode()
        assert await hasher.verify("\udcff", await hasher.hash("\udcff"))

    asyncio.run(story())
