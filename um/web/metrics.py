"""Counters and gauges in Prometheus' text format: `um.core.ports.Metrics` over an own registry.

A metric is made when it is first named. Names come from our code alone, so their number is bounded;
a name used as two different kinds of metric is a fault of ours and raises at once.
"""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

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
        self._made(self._counters, name, self._counter).inc(amount)

    def observe(self, name: str, value: float) -> None:
        """Add one measurement to the histogram `um_NAME`."""
        self._made(self._histograms, name, self._histogram).observe(value)

    def gauge(self, name: str, value: float) -> None:
        """Set the gauge `um_NAME`."""
        self._made(self._gauges, name, self._gauge).set(value)

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
                    metric = known[name] = make(name)
        return metric

    def _counter(self, name: str) -> Counter:
        return Counter(f"um_{name}", _words(name), registry=self.registry)

    def _gauge(self, name: str) -> Gauge:
        return Gauge(f"um_{name}", _words(name), registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        buckets = _OCTETS if name.endswith("octets") else _SECONDS
        return Histogram(f"um_{name}", _words(name), registry=self.registry, buckets=buckets)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
