"""Hooks around every request: its id, its log line, its metrics, security headers."""

import logging
import re
import secrets
import time
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, request
from sqlalchemy import Engine, event

from app.logs import direct_logger
from app.web import metrics
from app.web.bodies import REFUSAL

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)

_STATEMENTS = "saltfish.sql_statements"
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # The cashier's URL carries a ticket.
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def register_request_hooks(app: Flask) -> None:
    """Give each request an id (a well-formed X-Request-Id of the caller is kept), a log line, metrics and headers."""
    log = direct_logger("request")

    @app.before_request
    def start_request() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)
        refusal = request.environ.get(REFUSAL)
        if refusal is not None:
            raise refusal

    @app.after_request
    def finish_request(response: Response) -> Response:
        elapsed = time.perf_counter() - g.started
        response.headers["X-Request-Id"] = g.request_id
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if response.status_code == HTTPStatus.UNAUTHORIZED:  # RFC 9110 demands it
            response.headers.setdefault("WWW-Authenticate", "Bearer")
        # Never log the query string: the cashier's holds a ticket. Metrics are labelled by rule, not by path.
        rule = request.url_rule.rule if request.url_rule else "(none)"
        metrics.observe_request(method=request.method, rule=rule, http=response.status_code, seconds=elapsed)
        # Supervisors, load balancers and Prometheus ask without end. They are counted; a line a second tells nothing.
        log.log(
            logging.DEBUG if rule in _PROBES else logging.INFO,
            "request",
            method=request.method,
            path=rule if "ticket" in (request.view_args or {}) else request.path,
            http=response.status_code,
            milliseconds=round(elapsed * 1000, 2),
        )
        return response


def register_sql_counting(app: Flask, engine: Engine) -> None:
    """Answer with `X-SQL-Statements`, the number of SQL statements the request sent (the benchmark reads it)."""

    def count(*_arguments: object) -> None:
        if request:  # not in `g`: an independent transaction has one of its own
            request.environ[_STATEMENTS] = request.environ.get(_STATEMENTS, 0) + 1

    event.listen(engine, "before_cursor_execute", count)

    @app.after_request
    def add_header(response: Response) -> Response:
        response.headers["X-SQL-Statements"] = str(request.environ.get(_STATEMENTS, 0))
        return response
