"""Random identifiers drawn many at a time."""

import re
from concurrent.futures import ThreadPoolExecutor

from um.service.unique import BATCH, OCTETS, UniqueIds


def test_they_are_32_digits_and_never_the_same():
    """Several batches long, every identifier is one of its own."""
    new_id = UniqueIds()
    drawn = [new_id() for _ in range(3 * BATCH + 1)]
    assert len(set(drawn)) == len(drawn)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in drawn)


def test_one_draw_serves_a_batch():
    """The kernel is asked once for as many as fit, and again only when they are used up."""
    asked = []

    def draw(octets: int) -> bytes:
        asked.append(octets)
        return bytes([len(asked)]) * octets

    new_id = UniqueIds(draw)
    assert {new_id() for _ in range(BATCH)} == {"01" * OCTETS}
    assert new_id() == "02" * OCTETS
    assert asked == [OCTETS * BATCH] * 2


def test_threads_never_share_an_identifier():
    """Deliveries, the sweeper and the command line's threads may ask at once."""
    new_id = UniqueIds()
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: new_id(), range(20 * BATCH)))
    assert len(set(drawn)) == len(drawn)
