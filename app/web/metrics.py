"""Prometheus metrics: counters of requests, and the gauges that the factory registers.

With several web processes, `PROMETHEUS_MULTIPROC_DIR` must name a folder that exists and is empty at start:
prometheus-client keeps the counters there, and `/metrics` sums over the processes. It is evaluated at import, so the
variable must be in the environment of the web processes from the start (the supervisor, the Dockerfile and
docker-compose.yml set it). Without it each process counts for itself.

`/metrics` reveals business figures: a reverse proxy must not expose it to the public.
"""

import os
from typing import Final

from flask import Flask, Response, current_app
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_GAUGES: Final = "saltfish.gauges"

_REQUESTS = Counter("saltfish_http_requests", "Requests answered.", ("method", "rule", "http"))
_SECONDS = Histogram(
    "saltfish_http_request_seconds",
    "Seconds from the first to the last hook of a request.",
    ("method", "rule"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

# prometheus-client's `labels()` formats strings and takes a lock, so its results, which are few, are cached here.
_counters: dict[tuple[str, str, int], Counter] = {}
_histograms: dict[tuple[str, str], Histogram] = {}

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe_request(*, method: str, rule: str, http: int, seconds: float) -> None:
    """Count one answered request. `rule` is the URL rule, never the path, so labels stay few."""
    if method not in _METHODS:  # clients may send any number of invented methods
        method = "other"
    counter = _counters.get((method, rule, http))
    if counter is None:
        counter = _counters[method, rule, http] = _REQUESTS.labels(method, rule, str(http))
    histogram = _histograms.get((method, rule))
    if histogram is None:
        histogram = _histograms[method, rule] = _SECONDS.labels(method, rule)
    counter.inc()
    histogram.observe(seconds)


def register_gauges(app: Flask, gauges: Collector) -> None:
    """Add `gauges` to the metrics of `app`; they are collected, in an application context, at each scrape."""
    registry = CollectorRegistry()
    registry.register(gauges)
    app.extensions[_GAUGES] = registry


def exposition() -> Response:
    """All metrics in Prometheus' text format."""
    gauges: CollectorRegistry = current_app.extensions[_GAUGES]
    # Always the plain text format: the newer ones, negotiated by Accept, have no advantage here.
    return Response(
        generate_latest(_request_registry()) + generate_latest(gauges), content_type=CONTENT_TYPE_PLAIN_0_0_4
    )


def _request_registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no hints here
    return registry
