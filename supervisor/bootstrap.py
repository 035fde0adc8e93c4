"""Makes an environment what the hash-pinned requirements say: `python3 supervisor/bootstrap.py run|dev|crawler`.

`run` and `dev` share `.venv`; the crawler imports nothing of the application and has `crawler/.venv`.

Runs before anything is installed, on whatever `python3` the machine has: it uses the standard library only, and
no syntax newer than what it takes to say that Python is too old. It does nothing if the environment is right already.

A new environment gets the newest Python on the PATH that the locked requirements serve; with `--this-python` the one
that runs this.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OLDEST = (3, 11)
NEWEST = (3, 14)
"""The locked packages have wheels from the one to the other (`tools/wheels.py` checks that). On a newer Python some
would have to be compiled, by compilers that few machines have."""
PROJECT = Path(__file__).resolve().parent.parent
REQUIREMENTS = {  # dev holds all of run
    "run": "requirements.txt",
    "dev": "requirements-dev.txt",
    "crawler": "crawler/requirements.txt",
}
FOLDERS = {"run": ".venv", "dev": ".venv", "crawler": "crawler/.venv"}
BOOTSTRAP = PROJECT / "requirements-bootstrap.txt"

# Wheels for CPython fit neither PyPy nor a CPython that was built without its lock (3.14t).
_TELLS_VERSION = (
    "import sys; takes_wheels = sys.implementation.name == 'cpython' and 't' not in sys.abiflags; "
    "print(*sys.version_info[:2] * takes_wheels)"
)


class BootstrapError(Exception):
    """The environment cannot be made; the message says why, for the person at the terminal."""


class Environment:
    """A virtual environment, and in it a file that says what was installed last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.tools = folder / "tools"
        self.record = folder / "saltfish-requirements.json"

    def recorded(self) -> dict[str, str]:
        """What was installed last: which set, and the digest of its requirements."""
        try:
            return dict(json.loads(self.record.read_text()))
        except (OSError, ValueError):  # the installation was never finished, or somebody else made the environment
            return {}

    def works(self) -> bool:
        """Whether its Python starts and is one we serve: its link is broken where the Python behind it was removed."""
        return self.python.exists() and _serves(_version(str(self.python)))

    def create(self) -> None:
        """Create it anew, with pip if this Python can install one (Debian has that in the package python3-venv)."""
        print("creating", self.folder, "with Python", sys.version.split()[0], "at", sys.executable, flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        if _status([sys.executable, "-m", "venv", self.folder], quiet=True) != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", "--without-pip", self.folder], "python3 -m venv failed")

    def pip(self) -> list[object]:
        """A pip that installs into the environment: its own, or this Python's."""
        if _status([self.python, "-m", "pip", "--version"], quiet=True) == 0:
            return [self.python, "-m", "pip"]
        if _status([sys.executable, "-m", "pip", "--version"], quiet=True) == 0:
            return [sys.executable, "-m", "pip", "--python", self.python]
        raise BootstrapError("this Python has neither ensurepip nor pip: install python3-venv or python3-pip")

    def install(self, requirements: Path) -> None:
        """Install exactly what the file pins: with uv; where that fails with pip, whose index may be configured."""
        uv = self.tools / "bin" / "uv"
        if self._install_uv(uv):
            print("installing", requirements.name, flush=True)
            if _status([uv, "pip", "sync", "--require-hashes", "--python", self.python, requirements]) == 0:
                return
            print("uv could not install it; trying pip", flush=True)
        command = [*self.pip(), "install", "--quiet", "--require-hashes", "--no-deps", "-r", requirements]
        _run(command, f"neither uv nor pip could install {requirements.name}: see above")

    def _install_uv(self, uv: Path) -> bool:
        if uv.exists() and _status([uv, "--version"], quiet=True) == 0:
            return True
        # In a folder of its own: `uv pip sync` removes what the file does not list, and that is uv itself, too.
        command = [*self.pip(), "install", "--quiet", "--require-hashes", "--target", self.tools, "-r", BOOTSTRAP]
        return _status(command) == 0


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other bootstrap of this tree is at work: `make -j` asks for `run` and for `dev` at once, and while
    the one has taken the record away, the other would take it for an environment of nobody, and remove half of it.
    """
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(wanted: str, environment: Environment) -> None:
    """Bring the environment to the set `wanted`; one that has the larger set already keeps it."""
    usable = environment.works()
    recorded = environment.recorded() if usable else {}
    chosen = "dev" if recorded.get("set") == "dev" else wanted
    requirements = PROJECT / REQUIREMENTS[chosen]
    state = {"set": chosen, "sha256": hashlib.sha256(requirements.read_bytes()).hexdigest()}
    if recorded == state:
        return
    if not usable:
        environment.create()
    environment.record.unlink(missing_ok=True)
    environment.install(requirements)
    environment.record.write_text(json.dumps(state))


def suitable_python(*, this: bool) -> str:
    """The Python to make an environment with: the newest on the PATH that we serve, or, with `this`, this one.

    Of those that can make environments: Debian's needs the package python3-venv or python3-pip for that. Raises
    `BootstrapError` where there is none.
    """
    kind = "" if _version(sys.executable) else "not an ordinary CPython, "
    here = f"{sys.version.split()[0]} ({kind}{sys.executable})"
    if this:
        if not _serves(_version(sys.executable)):
            raise BootstrapError(f"{_served()} is needed; PYTHON names {here}")
        return sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        # A name on the PATH says little: pyenv has one for each version that it could run.
        for python in (sys.executable, shutil.which(f"python3.{minor}")):
            if python and _version(python) == (3, minor) and _makes_environments(python):
                return python
    raise BootstrapError(
        f"{_served()} is needed, and the PATH has none that can make environments; python3 is {here}. Install one of "
        f"them with its venv (Debian: python3-venv), or name one: make PYTHON=/where/it/is/bin/python3.{NEWEST[1]} ..."
    )


def _served() -> str:
    return f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"


def _serves(version: tuple[int, ...]) -> bool:
    return OLDEST <= version <= NEWEST


def _version(python: str) -> tuple[int, ...]:
    """Major and minor version of that Python; empty where it does not run, or takes no wheels for CPython."""
    try:
        said = subprocess.check_output([python, "-c", _TELLS_VERSION], stderr=subprocess.DEVNULL)
        return tuple(int(number) for number in said.split())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return ()


def _makes_environments(python: str) -> bool:
    return any(_status([python, "-c", f"import venv, {module}"], quiet=True) == 0 for module in ("ensurepip", "pip"))


def _status(command: list[object], *, quiet: bool = False) -> int:
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.call([str(word) for word in command], stdout=output, stderr=output)
    except OSError:
        return 127


def _run(command: list[object], failure: str) -> None:
    if _status(command) != 0:
        raise BootstrapError(failure)


def main() -> int:
    """Run one command line and return its exit status."""
    wanted, this = sys.argv[1:2], sys.argv[2:] == ["--this-python"]
    if wanted[:1] not in [[name] for name in REQUIREMENTS] or (len(sys.argv) > 2 and not this):
        print("usage: python3 supervisor/bootstrap.py", "|".join(REQUIREMENTS), "[--this-python]", file=sys.stderr)
        return 2
    environment = Environment(PROJECT / FOLDERS[wanted[0]])
    try:
        if not environment.works():
            python = suitable_python(this=this)
            if python != sys.executable:
                os.execv(python, [python, sys.argv[0], wanted[0], "--this-python"])  # noqa: S606 - no shell is what we want
        with one_at_a_time():
            prepare(wanted[0], environment)
    except BootstrapError as error:
        print("saltfish:", error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
