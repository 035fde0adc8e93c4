"""Prometheus metrics: counters of requests, and the gauges that the factory registers.

With several web processes, `PROMETHEUS_MULTIPROC_DIR` must name a folder that exists and is empty at start:
prometheus-client keeps the counters there, and `/metrics` sums over the processes. It is evaluated at import, so the
variable must be in the environment of the web processes from the start (the supervisor, the Dockerfile and
docker-compose.yml set it). Without it each process counts for itself.

`/metrics` reveals business figures. With `METRICS_TOKEN` it wants that token, as Prometheus sends it; without one it
does not exist in production, and elsewhere only for callers on this machine.
"""

import hmac
import os
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog
from flask import Flask, Response, current_app, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.answers import Answer, Refused
from app.settings import settings
from app.web.errors import NO_ROOM

log = structlog.get_logger(__name__)

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

_RESERVED: Final = 1024 * 1024
"""Bytes of each of a process's two files: some more than all rules, methods and statuses take."""

_counts = True  # whether this process counts: not where there is no room for it

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def reserve_room() -> None:
    """Give the files of this process their room on the disk. Called once, before anything is observed.

    prometheus-client makes them without, and maps them into memory. Where the disk is full, the system would end the
    process (SIGBUS) for writing the first count to a page that has no room. So where there is none already, this
    process answers and counts nothing, as long as it lives. Raises OSError where they cannot be written for another
    reason: no start mends that.
    """
    global _counts
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None or not hasattr(os, "posix_fallocate"):
        return
    paths = [Path(folder, f"{kind}_{os.getpid()}.db") for kind in ("counter", "histogram")]
    try:
        for path in paths:
            # Where a file system cannot reserve, libc writes instead, and has to read for that.
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                os.posix_fallocate(file, 0, _RESERVED)
            finally:
                os.close(file)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        log.error("metrics_without_room", error=error.strerror)  # noqa: TRY400 - it needs no traceback
        _counts = False
        for path in paths:
            with suppress(OSError):
                path.unlink()  # whoever adds up the processes could not read it


def observe_request(*, method: str, rule: str, http: int, seconds: float) -> None:
    """Count one answered request. `rule` is the URL rule, never the path, so labels stay few."""
    if not _counts:
        return
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


def require_reader() -> None:
    """Let only those go on who may read the metrics. Raises NO_SUCH_URL, or TOKEN_INVALID for a wrong token or none."""
    token = settings().metrics_token
    if not token:
        if settings().is_production or not _is_local(request.remote_addr):
            raise Refused(Answer.NO_SUCH_URL)
        return
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Refused(Answer.TOKEN_INVALID)


def _is_local(address: str | None) -> bool:
    try:
        return ip_address(address or "").is_loopback
    except ValueError:
        return False


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
