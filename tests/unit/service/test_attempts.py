"""Spool entries on their way: what waits, and what an operator sees of it."""

import asyncio
from types import SimpleNamespace

from tests.support.clock import FakeClock
from um.core.errors import UnavailableError
from um.service.attempts import Attempts, Outcome
from um.web.metrics import PrometheusMetrics


def test_an_operator_sees_what_waits_and_how_often_it_did():
    """While the storage is away the gauge tells how many wait; each delay is counted beside it."""
    answers = iter([UnavailableError(), UnavailableError(), Outcome.DELIVERED])

    async def attempt(_entry):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def story():
        clock, metrics = FakeClock(), PrometheusMetrics()
        attempts = Attempts("fax", attempt, clock, pauses_seconds=(1, 2), metrics=metrics)
        assert await attempts.finish(SimpleNamespace(id="e1")) is Outcome.WAITING
        seen = [metrics.text().decode()]
        for _ in range(2):
            clock.advance(2)
            await attempts.retry_pending()
            seen.append(metrics.text().decode())
        return seen

    waiting, still, done = asyncio.run(story())
    assert "um_fax_waiting 1.0" in waiting
    assert "um_fax_delayed_total 1.0" in waiting
    assert "um_fax_waiting 1.0" in still
    assert "um_fax_delayed_total 2.0" in still
    assert "um_fax_waiting 0.0" in done
    assert "um_fax_delivered_total 1.0" in done
