"""Structured logging: one JSON object per line, with the id of the request that it belongs to."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

# Fields that must never reach a log, whoever passes them.
_SECRET_FIELDS = frozenset(
    {
        "password",
        "token",
        "access_token",
        "refresh_token",
        "captcha_code",
        "mobile",
        "phone",
        "address",
        "account",
        "tracking_no",
        "authorization",
    }
)


# PostgreSQL's error quotes the whole row that breaks a constraint: addresses, mobile numbers, password hashes. A value
# may have several lines, so the match extends to where the next part of the exception begins.
_QUOTED_ROW = re.compile(r"(Failing row contains|Key) \(.*?(?=\n\[SQL: |\n\nThe above exception|\Z)", re.DOTALL)


# Loggers of libraries whose INFO is our DEBUG. `rq.worker` would set a level of its own.
_LOUD = ("rq", "rq.worker")


# Alembic says these whenever it looks at the database, as `/readyz` lets it do.
_ALEMBIC_LOOKS = ("Context impl ", "Will assume ")

_TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def _is_no_look(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_ALEMBIC_LOOKS)


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _SECRET_FIELDS & event.keys():
        event[name] = "[hidden]"
    return event


def _without_rows(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "exception" in event:
        event["exception"] = _QUOTED_ROW.sub(r"\1 ([hidden])", event["exception"])
    return event


def _as_json(event: MutableMapping[str, Any], **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


class _Droppable:
    """A stream that drops what it cannot write, as handlers of the standard library do.

    What an answer says must not depend on whether there is room for its line, or anybody to read it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, if that is possible."""
        with suppress(OSError, ValueError):  # ValueError: it has been closed
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def direct_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines look as all others, but do not pass through the standard library.

    It has the level and the stderr of this moment, so it is made after `configure_logging`. For the line that each
    request writes: through the standard library it cost 130 microseconds, of some 1,600 for reading a good; so it
    costs 35.
    """
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", _Droppable(sys.stderr))),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _without_secrets,
            _TIMESTAMP,
            structlog.processors.format_exc_info,
            _without_rows,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLogger().level),
    )
    return logger.bind(logger=name)


def configure_logging(level: str) -> None:
    """Send structlog and the standard library's loggers to stderr as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _without_secrets,
        _TIMESTAMP,
        structlog.processors.format_exc_info,
        _without_rows,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # One line per fired transition says nothing that the history does not, and costs more than the transition.
    logging.getLogger("transitions").setLevel(logging.WARNING)
    # RQ tells of every job three times, and of what it does periodically; `tasks.worker` tells of each job once.
    for name in _LOUD:
        logging.getLogger(name).setLevel(
            root.level if root.level == logging.DEBUG else max(root.level, logging.WARNING)
        )
    logging.getLogger("alembic.runtime.migration").addFilter(_is_no_look)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
