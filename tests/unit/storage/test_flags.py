"""Flags as bits and text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import flags
from um.core.errors import InvalidError
from um.core.message import SYSTEM_FLAGS, FlagOperation

KEYWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(
    lambda word: not word.startswith("\\")
)
FLAGS = st.lists(st.sampled_from(sorted(SYSTEM_FLAGS)) | KEYWORDS, max_size=6)


@given(FLAGS)
def test_flags_survive_storage(given_flags):
    """Decoding what was encoded gives the same flags."""
    kept = frozenset(flags.canonical(given_flags).values())
    assert flags.decode(*flags.encode(kept)) == kept


def test_every_system_flag_has_a_bit_of_its_own():
    """All storable system flags fit the mask."""
    assert set(flags.BITS) == SYSTEM_FLAGS
    assert sum(flags.BITS.values()) == 2 ** len(SYSTEM_FLAGS) - 1


@given(FLAGS, FLAGS)
def test_adding_then_removing_leaves_the_others(present, given_flags):
    """ADD then REMOVE of the same flags leaves those that were not named; both are idempotent."""
    before = frozenset(flags.canonical(present).values())
    named = flags.canonical(given_flags)
    added = flags.changed(before, FlagOperation.ADD, named)
    assert flags.changed(added, FlagOperation.ADD, named) == added >= before
    removed = flags.changed(added, FlagOperation.REMOVE, named)
    assert removed == {flag for flag in before if flag.lower() not in named}


@pytest.mark.parametrize("flag", ["", "\\Recent", "\\*", "a b", "a\n"])
def test_what_is_no_flag_is_refused(flag):
    """A system flag that cannot be stored, or a keyword that is not one word, is refused."""
    with pytest.raises(InvalidError):
        flags.canonical([flag])
