"""Prometheus metrics: counters of requests, and the gauges that the factory registers.

Several web processes: with `PROMETHEUS_MULTIPROC_DIR` naming a folder that exists and is empty at start,
prometheus-client keeps the counters there and `/metrics` adds the processes up. It decides at import, so the variable
must stand in the environment of the web processes from the start (the supervisor, the Dockerfile and
docker-compose.yml set it). Without it each process counts for itself.

`/metrics` tells how the business runs; a proxy in front must not pass it on to the public.
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

# Looking children up by label formats and locks; methods, rules and statuses are few, so they are kept.
_counters: dict[tuple[str, str, int], Counter] = {}
_histograms: dict[tuple[str, str], Histogram] = {}

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe_request(*, method: str, rule: str, http: int, seconds: float) -> None:
    """Count one answered request. `rule` is the URL rule, never the path, so labels stay few."""
    if method not in _METHODS:  # a client may invent as many as it likes
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
    """Let `app` show `gauges` beside its requests; they are read, in an application context, when Prometheus asks."""
    registry = CollectorRegistry()
    registry.register(gauges)
    app.extensions[_GAUGES] = registry


def exposition() -> Response:
    """All metrics in Prometheus' text format."""
    gauges: CollectorRegistry = current_app.extensions[_GAUGES]
    # The newer formats, negotiated by Accept, bring nothing here.
    return Response(
        generate_latest(_request_registry()) + generate_latest(gauges), content_type=CONTENT_TYPE_PLAIN_0_0_4
    )


def _request_registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no hints here
    return registry
