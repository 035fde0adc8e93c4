"""`python -m tests.crawler.goofish --record FILE [--port N] [--token-uses N]`: the fake site on 127.0.0.1."""

import argparse
import asyncio
from contextlib import suppress
from pathlib import Path

from tests.crawler.goofish.server import FakeSite


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.crawler.goofish", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument(
        "--record", type=Path, required=True, help="the file to which each request is written, as a line of JSON"
    )
    parser.add_argument("--token-uses", type=int, help="for how many requests a token is valid (any number)")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(FakeSite(arguments.record, token_uses=arguments.token_uses).serve(arguments.port))


if __name__ == "__main__":
    main()
