"""Many clients at once on shared mailboxes, with mail coming in: nothing is said wrong."""

import pytest

from bench.imap_mixed import mixed

pytestmark = pytest.mark.slow


def test_many_clients_believe_what_is_there(tmp_path):
    """A short form of `python -m bench.imap_mixed`: no protocol error, no view that differs.

    The last look is at a server that was killed and started again.
    """
    outcome = mixed(tmp_path / "um", seconds=12, clients=15, check_seconds=4)
    assert not outcome.errors
    assert not outcome.differences
    assert outcome.views >= 30
    assert outcome.checkpoints >= 2
    assert outcome.delivered
    assert {"FETCH", "STORE", "SELECT", "NOOP"} <= outcome.times.keys()
