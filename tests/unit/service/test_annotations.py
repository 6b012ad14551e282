"""Notes on folders and the account: whole or not at all, within their limits."""

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.house import House
from um.core.errors import ReadOnlyError, UnavailableError
from um.core.message import INBOX, TRASH
from um.service.annotations import (
    MAX_ACCOUNT_ENTRIES,
    MAX_ACCOUNT_OCTETS,
    MAX_ENTRIES,
    MAX_VALUE_OCTETS,
    AnnotationService,
    NoteTooLargeError,
    TooManyNotesError,
)
from um.service.mailbox_folders import create_txn

ENTRIES = st.sampled_from(["/private/a", "/private/b", "/private/c/d"])
VALUES = st.none() | st.binary(max_size=8) | st.just(b"x" * (MAX_VALUE_OCTETS + 1))
CHANGES = st.tuples(
    st.sampled_from([INBOX, TRASH, ""]),
    st.dictionaries(ENTRIES, VALUES, min_size=1),
    st.booleans(),
)


@given(st.lists(CHANGES, max_size=8))
def test_a_change_is_made_whole_or_not_at_all(changes):
    """Against a model of dictionaries, with values that are too large and a store that goes away."""

    async def story():
        house = House()
        account = await house.add()
        notes = AnnotationService(house.store)
        model: dict[str, dict[str, bytes]] = {INBOX: {}, TRASH: {}, "": {}}
        for place, values, down in changes:
            house.store.unavailable = down
            stored = False
            with suppress(NoteTooLargeError, UnavailableError):
                await notes.set(account.id, place, values)
                stored = True
            large = any(len(value or b"") > MAX_VALUE_OCTETS for value in values.values())
            assert stored is not (large or down)
            if stored:
                merged = {**model[place], **values}
                model[place] = {key: each for key, each in merged.items() if each is not None}
            house.store.unavailable = False
            assert {each: await notes.get(account.id, each) for each in model} == model

    asyncio.run(story())


def test_there_are_only_so_many():
    """Of a folder, and of an account in octets; what is there may still be changed and removed."""

    async def story():
        house = House()
        account = await house.add()
        notes = AnnotationService(house.store)
        full = {f"/private/{number}": b"x" for number in range(MAX_ENTRIES)}
        await notes.set(account.id, INBOX, full)
        with pytest.raises(TooManyNotesError):
            await notes.set(account.id, INBOX, {"/private/0": b"y", "/private/more": b"x"})
        assert await notes.get(account.id, INBOX) == full
        await notes.set(account.id, INBOX, {"/private/0": None, "/private/more": b"x"})
        large = b"x" * MAX_VALUE_OCTETS
        most = MAX_ACCOUNT_OCTETS // MAX_VALUE_OCTETS - 1
        await notes.set(account.id, TRASH, {f"/private/{n}": large for n in range(most)})
        with pytest.raises(TooManyNotesError):
            await notes.set(account.id, "", {"/private/one": large})
        with pytest.raises(ReadOnlyError):
            await notes.set(account.id, "", {"/shared/comment": b"x"})
        await notes.set(account.id, TRASH, {"/private/0": None})
        await notes.set(account.id, "", {"/private/one": large})

    asyncio.run(story())


def test_an_account_has_so_many_in_all():
    """Each folder within its own number, all of them within the account's."""

    async def story():
        house = House()
        account = await house.add()
        notes = AnnotationService(house.store)
        full = {f"/private/{number}": b"x" for number in range(MAX_ENTRIES)}
        places = [INBOX, *(f"Folder {n}" for n in range(1, MAX_ACCOUNT_ENTRIES // MAX_ENTRIES))]
        for place in places:
            if place != INBOX:
                await house.store.run(
                    "create", partial(create_txn, account_id=account.id, name=place)
                )
            await notes.set(account.id, place, full)
        with pytest.raises(TooManyNotesError):
            await notes.set(account.id, TRASH, {"/private/more": b"x"})
        assert await notes.get(account.id, TRASH) == {}
        await notes.set(account.id, INBOX, {"/private/0": None})
        await notes.set(account.id, TRASH, {"/private/more": b"x"})

    asyncio.run(story())
