"""What is kept of what never changes: right or absent, and never more than allowed."""

from hypothesis import given
from hypothesis import strategies as st

from um.service.octet_cache import OVERHEAD_OCTETS, OctetCache

LIMIT = 3000
STEPS = st.lists(
    st.tuples(st.binary(max_size=2), st.integers(0, 8), st.integers(0, 2 * LIMIT)), max_size=60
)


@given(STEPS)
def test_a_hit_is_right_and_the_bound_holds(steps):
    """Any order of groups, keys and sizes, one value larger than all there is room for included."""
    cache, told = OctetCache(LIMIT), {}
    for group, key, size in steps:
        found = cache.get(group, key)
        if found is None:
            told[group, key] = bytes(size)
            cache.put(group, key, told[group, key])
        else:
            assert found == told[group, key]
        assert cache.used_octets <= LIMIT


def test_the_group_used_longest_ago_goes_first():
    cache = OctetCache(6 * (OVERHEAD_OCTETS + 100))
    cache.put(b"a", 1, bytes(100))
    cache.put(b"b", 1, bytes(100))
    cache.put(b"a", 2, bytes(100))
    cache.put(b"c", 1, bytes(100))
    assert cache.get(b"b", 1) is None
    assert cache.get(b"a", 1) == cache.get(b"c", 1) == bytes(100)
