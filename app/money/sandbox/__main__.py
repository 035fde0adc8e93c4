"""`python -m app.money.sandbox serve` and `… keys`; what is not given comes from the environment."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces

from . import keys
from .settings import SandboxSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 with a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m app.money.sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the gateway until SIGTERM or Ctrl-C")
    serve.add_argument("--host", dest="GATEWAY_HOST", metavar="HOST", help="default 127.0.0.1")
    serve.add_argument("--port", dest="GATEWAY_PORT", metavar="PORT", help="default 8001")
    serve.add_argument("--store", dest="SANDBOX_STORE", metavar="FILE", help="SQLite file, made where missing")
    serve.add_argument("--keys", dest="SANDBOX_KEYS", metavar="DIR", help="directory made by the keys command")
    serve.add_argument(
        "--notify-factor", dest="SANDBOX_NOTIFY_FACTOR", metavar="F", help="scales the waits between notifications"
    )
    make_keys = commands.add_parser("keys", help="make the key pairs of the application and the gateway")
    make_keys.add_argument("--dir", type=Path, required=True, metavar="DIR")
    options = vars(parser.parse_args(arguments))
    try:
        if options.pop("command") == "keys":
            keys.create_keys(options["dir"])
        else:
            _serve({name: value for name, value in options.items() if value is not None})
    except (ValueError, keys.KeyFileError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line prints
        return 2
    return 0


def _serve(given: dict[str, str]) -> None:
    settings = SandboxSettings.from_environment({**os.environ, **given})
    # Checked here, so that the error is reported before the worker process fails with it.
    keys.load_public_key(settings.keys / keys.APP_PUBLIC)
    keys.load_private_key(settings.keys / keys.GATEWAY_PRIVATE)
    os.environ.update(settings.to_environment())
    Granian(
        "app.money.sandbox.server:create_sandbox",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        # Exactly one, because the notifier runs in it.
        workers=1,
        blocking_threads=4,
        workers_kill_timeout=5,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    sys.exit(main())
