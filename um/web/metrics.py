"""Counters and gauges in Prometheus' text format: `um.core.ports.Metrics` over an own registry.

A metric is made when it is first named. Names come from our code alone, so their number is bounded.
A name that is used as two kinds of metric is a defect of ours: it is logged, the second kind is not
shown, and whoever counts notices nothing: no metric is worth a connection.
"""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

log = structlog.get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_OCTETS = tuple(1024.0 * 4**power for power in range(10))
MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)


class PrometheusMetrics:
    """`um.core.ports.Metrics`; may be called from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._lock = Lock()

    def count(self, name: str, amount: float = 1) -> None:
        """Add to the counter `um_NAME_total`."""
        self._made(self._counters, name, _counter).inc(amount)

    def observe(self, name: str, value: float) -> None:
        """Add one measurement to the histogram `um_NAME`."""
        self._made(self._histograms, name, _histogram).observe(value)

    def gauge(self, name: str, value: float) -> None:
        """Set the gauge `um_NAME`."""
        self._made(self._gauges, name, _gauge).set(value)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _made(
        self, known: dict[str, MetricT], name: str, make: Callable[[str], MetricT]
    ) -> MetricT:
        metric = known.get(name)
        if metric is None:
            with self._lock:
                metric = known.get(name)
                if metric is None:
                    metric = known[name] = self._shown(make(name), name)
        return metric

    def _shown(self, metric: MetricT, name: str) -> MetricT:
        try:
            self.registry.register(metric)
        except ValueError:
            log.exception("metric of two kinds", metric=name)
        return metric


def _counter(name: str) -> Counter:
    return Counter(f"um_{name}", _words(name), registry=None)


def _gauge(name: str) -> Gauge:
    return Gauge(f"um_{name}", _words(name), registry=None)


def _histogram(name: str) -> Histogram:
    buckets = _OCTETS if name.endswith("octets") else _SECONDS
    return Histogram(f"um_{name}", _words(name), registry=None, buckets=buckets)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
