"""`python -m app.web.server`: the web processes, under granian, with limits for whatever strangers send.

HOST, PORT and WEB_WORKERS say where and how many. HTTP/2 is off: a stream of it is opened with a few bytes and costs a
whole request; what speaks it to browsers is a proxy in front (`deploy/nginx.conf`).
"""

import resource
import sys
from typing import Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from config import SettingsError, load_settings

_TARGET: Final = "rsgi:app"
_BACKLOG: Final = 4096  # connections that the kernel keeps until they are taken
# Also for how long a connection may do nothing between two requests.
_HEADER_MILLISECONDS: Final = 15_000
# A request's line and headers; more is answered with 431. Each connection may take as much memory.
_HEADER_BYTES: Final = 32 * 1024
_SPARE: Final = 4  # how many times as many connections are taken as are kept: see `app.web.connections`
_OTHER_DESCRIPTORS: Final = 256  # for database, Valkey, search index, pictures, bodies in files


def _connections_to_take(kept: int) -> int:
    """Some more than are `kept`, as far as the system has descriptors for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = kept * _SPARE + _OTHER_DESCRIPTORS
    given = max(wanted, soft) if hard == resource.RLIM_INFINITY else min(max(wanted, soft), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
    return max(min(wanted, given) - _OTHER_DESCRIPTORS, 1)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"saltfish: {error}")
    Granian(
        _TARGET,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.web_workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MILLISECONDS, max_buffer_size=_HEADER_BYTES),
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_connections_to_take(settings.connections_limit),
        respawn_failed_workers=True,
        respawn_interval=0.1,  # seconds between two that are replaced together
    ).serve()


if __name__ == "__main__":
    main()
