"""The one module that turns errors into responses."""

import structlog
from flask import Flask, Response
from flask_limiter import RateLimitExceeded
from werkzeug.exceptions import HTTPException

from app.answers import Answer, Refused
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


def register_error_handlers(app: Flask) -> None:
    """Every error of `app` answers in the envelope; unknown ones are logged and answer 500."""

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        response = envelope(error.answer, error.data)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @app.errorhandler(RateLimitExceeded)
    def limited(_error: RateLimitExceeded) -> Response:
        return envelope(Answer.TOO_MANY_REQUESTS)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        answer = _HTTP_ANSWERS.get(error.code or 500)
        if answer is None:
            log.error("unmapped_http_error", code=error.code, name=error.name)
            answer = Answer.BAD_REQUEST if 400 <= (error.code or 500) < 500 else Answer.FAULT
        response = envelope(answer)
        if error.code == 405 and getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # type: ignore[attr-defined] # MethodNotAllowed has it
        return response

    @app.errorhandler(Exception)
    def fault(error: Exception) -> Response:
        log.error("unhandled_fault", exc_info=error)
        return envelope(Answer.FAULT)
