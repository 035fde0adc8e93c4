"""The one module that turns errors into responses."""

import errno
import math
import time
from collections.abc import Mapping
from typing import Any

import redis.exceptions
import sqlalchemy.exc
import structlog
from flask import Flask, Response
from flask_limiter import RateLimitExceeded
from werkzeug.exceptions import HTTPException

from app.answers import Answer, Refused
from app.extensions import limiter
from app.web.browser_pages import refusal_page, wants_page
from app.web.envelope import envelope

log = structlog.get_logger(__name__)

# Statuses that the framework itself raises.
_HTTP_ANSWERS = {
    400: Answer.BAD_REQUEST,
    404: Answer.NO_SUCH_URL,
    405: Answer.METHOD_NOT_ALLOWED,
    413: Answer.TOO_LARGE,
    415: Answer.UNSUPPORTED_TYPE,
    429: Answer.TOO_MANY_REQUESTS,
}

# SQLSTATEs (PostgreSQL's manual, appendix A) of what passes: the transaction is rolled back, the same again may work.
_BUSY = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock timeout
# The server goes, has gone or is not up yet; class 08 is the connection itself.
_AWAY = frozenset({"57P01", "57P02", "57P03"})
_DISK_FULL = "53100"  # what was written is rolled back, as ever

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""One of these gets whoever writes a file where there is no room: the disk is full, a quota is, or a limit of sizes."""

# Seconds: locks are held shortly; a restart takes longer, or to make room.
_BUSY_RETRY = 1
_AWAY_RETRY = 5


def refusal_response(refusal: Refused) -> Response:
    """The response that `refusal` is."""
    response = _response(refusal.answer, refusal.data)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


def _response(answer: Answer, data: Mapping[str, Any] | None = None) -> Response:
    """The envelope; a page for who opened the address in a browser."""
    return refusal_page(answer) if wants_page() else envelope(answer, data)


def register_error_handlers(app: Flask) -> None:
    """Every error of `app` answers in the envelope; what is no answer of ours is logged, and unknown ones are 500."""
    app.register_error_handler(Refused, refusal_response)
    app.register_error_handler(RateLimitExceeded, _limited)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(sqlalchemy.exc.DBAPIError, _database_trouble)
    app.register_error_handler(sqlalchemy.exc.TimeoutError, _no_connection_free)
    app.register_error_handler(redis.exceptions.ConnectionError, _valkey_away)
    app.register_error_handler(redis.exceptions.TimeoutError, _valkey_away)
    app.register_error_handler(OSError, _system_trouble)
    app.register_error_handler(Exception, _fault)


def _limited(_error: RateLimitExceeded) -> Response:
    limit = limiter.current_limit
    left = limit.window.reset_time - time.time() if limit else 1
    return _retry_later(Answer.TOO_MANY_REQUESTS, seconds=max(1, math.ceil(left)))


def _http_error(error: HTTPException) -> Response:
    answer = _HTTP_ANSWERS.get(error.code or 500)
    if answer is None:
        log.error("unmapped_http_error", code=error.code, name=error.name)
        answer = Answer.BAD_REQUEST if 400 <= (error.code or 500) < 500 else Answer.FAULT
    response = _response(answer)
    if error.code == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # type: ignore[attr-defined] # MethodNotAllowed has it
    return response


def _database_trouble(error: sqlalchemy.exc.DBAPIError) -> Response:
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate in _BUSY:
        log.error("database_busy", sqlstate=sqlstate, error=str(error.orig), statement=error.statement)
        return _retry_later(Answer.BUSY, seconds=_BUSY_RETRY)
    if sqlstate == _DISK_FULL:
        return _without_room(str(error.orig))
    if error.connection_invalidated or _is_away(error, sqlstate):
        log.error("database_away", sqlstate=sqlstate, error=str(error.orig))
        return _retry_later(Answer.NOT_READY, seconds=_AWAY_RETRY)
    return _fault(error)


def _is_away(error: sqlalchemy.exc.DBAPIError, sqlstate: str | None) -> bool:
    if sqlstate is None:
        # No statement got an answer: psycopg could not connect, or lost the connection.
        return isinstance(error, sqlalchemy.exc.OperationalError)
    return sqlstate in _AWAY or sqlstate.startswith("08")


def _no_connection_free(error: sqlalchemy.exc.TimeoutError) -> Response:
    log.error("database_pool_exhausted", error=str(error))
    return _retry_later(Answer.BUSY, seconds=_BUSY_RETRY)


def _valkey_away(error: redis.exceptions.RedisError) -> Response:
    log.error("valkey_away", error=str(error))
    return _retry_later(Answer.NOT_READY, seconds=_AWAY_RETRY)


def _system_trouble(error: OSError) -> Response:
    if error.errno in NO_ROOM:
        return _without_room(error.strerror)
    return _fault(error)


def _without_room(error: str | None) -> Response:
    log.error("disk_full", error=error)
    return _retry_later(Answer.NOT_READY, seconds=_AWAY_RETRY)


def _retry_later(answer: Answer, *, seconds: int) -> Response:
    return refusal_response(Refused(answer, retry_after=seconds))


def _fault(error: Exception) -> Response:
    log.error("unhandled_fault", exc_info=error)
    return _response(Answer.FAULT)
