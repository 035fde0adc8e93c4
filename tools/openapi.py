"""The OpenAPI document as a file, so that a review sees what a change does to the API: `make openapi`.

python -m tools.openapi docs/openapi.json            writes it
python -m tools.openapi --check docs/openapi.json    says with its exit status whether it is current
"""

import argparse
import sys
from functools import cache
from pathlib import Path

import orjson

from app.factory import APIS
from app.refusals import REFUSAL_DETAILS
from app.web.openapi import OpenApiDocument


@cache
def rendered() -> bytes:
    """The document as the application serves it by default, indented. Made once: it takes a second."""
    served = OpenApiDocument(APIS, REFUSAL_DETAILS, always_200=False).content
    return orjson.dumps(orjson.loads(served), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main() -> int:
    """Run one command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.openapi", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare only")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    document = rendered()
    if not arguments.check:
        arguments.file.write_bytes(document)
    elif not (arguments.file.exists() and arguments.file.read_bytes() == document):
        print(f"{arguments.file} is not what the application serves: run `make openapi`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
