"""Two who change one account at the same instant: neither takes back what the other did.

A row is written whole, so that whoever writes it must have read it under its lock. On SQLite and on
PostgreSQL, each with two nodes.
"""

import asyncio

import pytest

from tests.contract.test_purge_race import nodes
from um.core.account import AccountState
from um.service.profile import ProfileChange, Profiles

ROUNDS = 12


def by_owner(node):
    """What an owner changes, and what shows that it was done."""
    profiles = Profiles(node.store, node.clock, node.settings)
    return {
        "password": node.accounts.set_password("alice", "another long one"),
        "pin": node.accounts.set_pin("alice", "471936"),
        "no pin": node.accounts.clear_pin("alice"),
        "voicemail": node.accounts.set_voicemail("alice", on=False),
        "ring": node.accounts.set_ring_seconds("alice", 30),
        "profile": profiles.change("alice", ProfileChange(full_name="Alice A")),
    }


@pytest.mark.parametrize("first", range(3))
def test_an_owners_change_takes_back_no_operators(persistent, first):
    """A hold and a suspension stand, whatever the owner saves beside them."""

    async def story(here, there):
        await here.add()
        for _ in range(ROUNDS):
            work = list(by_owner(there).values())
            work.insert(first * 3, here.accounts.set_legal_hold("alice", on=True, reason="court"))
            work.insert(first * 3, here.accounts.suspend("alice", reason="unpaid"))
            await asyncio.gather(*work)
            account = (await here.accounts.show("alice")).account
            assert account.legal_hold_reason == "court"
            assert account.state is AccountState.SUSPENDED
            assert (account.ring_seconds, account.voicemail_enabled) == (30, False)
            assert account.full_name == "Alice A"
            await here.accounts.set_legal_hold("alice", on=False, reason="")
            await here.accounts.resume("alice")
            await here.accounts.set_ring_seconds("alice", None)
            await here.accounts.set_voicemail("alice", on=True)

    nodes(persistent, story)
