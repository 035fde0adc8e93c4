"""`make clients`: the document is valid, and clients are generated from it without a warning, in Python and TypeScript.

They stay in `build/clients`. What is taken from npm is pinned in `package-lock.json` beside this file.
"""

import json
import os
import shutil
import subprocess
import sys

from openapi_spec_validator import validate

from tests.clients.generation import DOCUMENT, HERE, generate_python_client
from tests.live import PROJECT

BUILD = PROJECT / "build" / "clients"


def main() -> int:
    """Do it all; the exit status."""
    npm = shutil.which("npm")
    if npm is None:
        print("saltfish: there is no npm: install Node.js 18 or newer", file=sys.stderr)
        return 1
    BUILD.mkdir(parents=True, exist_ok=True)
    print("openapi-spec-validator", flush=True)
    validate(json.loads(DOCUMENT.read_bytes()))
    print("openapi-python-client", flush=True)
    generate_python_client(BUILD)
    print("npm ci", flush=True)
    run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    print("redocly lint", flush=True)
    run(npm, "exec", "--", "redocly", "lint", "--max-problems=20", str(DOCUMENT))
    print("openapi-typescript, tsc", flush=True)
    run(npm, "exec", "--", "openapi-typescript", str(DOCUMENT), "--output", str(BUILD / "openapi.d.ts"))
    run(npm, "exec", "--", "tsc", "--project", ".")
    return 0


def run(*command: str) -> None:
    """Run it where package.json is; its failure ends us."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_UPDATE_NOTIFIER": "1"}
    status = subprocess.run(command, cwd=HERE, env={**os.environ, **quiet}, check=False).returncode
    if status != 0:
        sys.exit(status)


if __name__ == "__main__":
    sys.exit(main())
