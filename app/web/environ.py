"""What a WSGI application is told of a request (PEP 3333), from what granian's RSGI says of it."""

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Headers(Protocol):
    """A request's headers, as granian has them: values that are not ASCII it does not tell."""

    def items(self) -> list[tuple[str, str]]:
        """Names in small letters, and values; a name that came twice comes twice."""

    def get(self, name: str) -> str | None:
        """The first value of that name."""

    def __contains__(self, name: str) -> bool: ...

    def __iter__(self) -> Iterator[str]:
        """Each name once, also of those whose values are not ASCII."""


class Scope(Protocol):
    """What a request is, as granian has it. `path` is unquoted, with U+FFFD for what is no UTF-8."""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    headers: Headers


_FREQUENT: Final = (
    "accept accept-encoding accept-language authorization cache-control connection cookie host idempotency-key "
    "if-none-match origin referer user-agent x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip x-request-id"
)
_VARIABLES: Final = {name: "HTTP_" + name.upper().replace("-", "_") for name in _FREQUENT.split()} | {
    "content-type": "CONTENT_TYPE",
    "content-length": "CONTENT_LENGTH",
}

_UNREADABLE: Final = "\xff"
"""The value of a header whose value granian does not tell, because it is not ASCII.

Not as if it had not been sent: a request with such an `Idempotency-Key` has to be refused, and must not count by the
address of the proxy because of what the client put into `X-Forwarded-For`.
"""

_BASE: Final[dict[str, Any]] = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    # The body has been read to its end, so Werkzeug need not count its bytes.
    "wsgi.input_terminated": True,
}


def environ_of(scope: Scope, *, body: IO[bytes], length: int | None, errors: Any) -> "WSGIEnvironment":
    """The environ of a request whose whole body of `length` bytes, None for one that was not read, is `body`."""
    environ = _BASE.copy()
    server, _, port = scope.server.rpartition(":")
    environ["SERVER_NAME"] = server.strip("[]")
    environ["SERVER_PORT"] = port
    environ["SERVER_PROTOCOL"] = "HTTP/" + scope.http_version
    environ["REMOTE_ADDR"] = scope.client.rpartition(":")[0].strip("[]")
    environ["REQUEST_METHOD"] = scope.method
    environ["PATH_INFO"] = _path_info(scope.path)
    environ["QUERY_STRING"] = scope.query_string
    environ["wsgi.url_scheme"] = scope.scheme
    environ["wsgi.input"] = body
    environ["wsgi.errors"] = errors
    for name, value in scope.headers.items():
        variable = _VARIABLES.get(name)
        if variable is None:
            if "_" in name:  # would pass for the header with a dash, which only our proxy may set
                continue
            variable = "HTTP_" + name.upper().replace("-", "_")
        if variable in environ:
            environ[variable] += ("; " if name == "cookie" else ",") + value
        else:
            environ[variable] = value
    for name in scope.headers:
        variable = _VARIABLES.get(name) or "HTTP_" + name.upper().replace("-", "_")
        if variable not in environ and "_" not in name:
            environ[variable] = _UNREADABLE
    # However the body was framed, here is what has come of it.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    if length is None:
        environ.pop("CONTENT_LENGTH", None)
    else:
        environ["CONTENT_LENGTH"] = str(length)
    return environ


def _path_info(path: str) -> str:
    """The path as WSGI has it: its bytes, each as the character of that number."""
    return path if path.isascii() else path.encode().decode("latin-1")
