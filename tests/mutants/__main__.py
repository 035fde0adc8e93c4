"""`make mutants`: puts each fault of the table into a copy of the tree, alone, and runs the tests that must notice it.

The working tree is only read. Engines are started once, with migrated databases, and shared by all runs.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import make_url

from config import PROJECT_ROOT
from supervisor.options import Options
from supervisor.product import temporary_engines
from tests.mutants.table import Mutant, load_mutants, sample

_TIMEOUT: Final = 180.0  # seconds for the tests of one mutant
_PASSED: Final = 0
_FAILED: Final = 1


class Verdict(NamedTuple):
    """What became of a mutant: whether that is as the table says, and how it shows."""

    right: bool
    words: str


class Tree:
    """A copy of the project, and the process that runs tests in it."""

    def __init__(self, folder: Path, files: Sequence[str], environ: Mapping[str, str]) -> None:
        self._folder = folder
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_ROOT / name, folder / name)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.forking"],
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(_TIMEOUT)

    def passes(self, tests: Sequence[str]) -> str:
        """Empty if the tests pass in the tree as it is, else what pytest wrote."""
        answer = self._run(tests, fresh=False, timeout=20 * _TIMEOUT)
        return "" if answer["status"] == _PASSED else answer["output"]

    def judge(self, mutant: Mutant) -> Verdict:
        """Run the mutant's tests with its fault, and take the fault out again."""
        path = self._folder / mutant.file
        text, times = path.read_text("utf-8"), path.stat()
        path.write_text(mutant.changed(self._folder), "utf-8")
        try:
            answer = self._run(mutant.tests, fresh=True, timeout=_TIMEOUT)
        finally:
            path.write_text(text, "utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that what was compiled of it still holds
        match answer["status"]:
            case 0:
                return Verdict(bool(mutant.harmless), "harmless" if mutant.harmless else "NOT NOTICED")
            case 1:
                failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", answer["output"], re.MULTILINE)
                return Verdict(not mutant.harmless, f"noticed by {failed[0] if failed else 'its tests'}")
            case None:
                return Verdict(not mutant.harmless, "its tests do not end")
            case status:
                return Verdict(False, f"pytest ended with {status}:\n{answer['output']}")

    def _run(self, tests: Sequence[str], *, fresh: bool, timeout: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tests": list(tests), "fresh": fresh, "timeout": timeout}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=PROJECT_ROOT, capture_output=True, check=True, text=True).stdout


def _files() -> list[str]:
    """What belongs to the project, committed or not."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in sorted(set(listed.split("\0"))) if name and (PROJECT_ROOT / name).is_file()]


def _migrate_template(database_url: str) -> None:
    """Migrate the database that new ones of these engines are copies of: each run then finds its own migrated."""
    template = make_url(database_url).set(database="template1").render_as_string(hide_password=False)
    environ = {**os.environ, "SALTFISH_ENV": "testing", "DATABASE_URL": template, "REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    subprocess.run(command, cwd=PROJECT_ROOT, env=environ, check=True, capture_output=True)


def _judge_all(mutants: Sequence[Mutant], *, jobs: int) -> list[tuple[Mutant, Verdict]]:
    """The verdict on each. Exits where the tests do not pass without any fault."""
    with ExitStack() as stack:
        urls = stack.enter_context(temporary_engines(Options()))
        _migrate_template(urls["DATABASE_URL"])
        files = _files()
        shares = [share for number in range(jobs) if (share := mutants[number::jobs])]

        def judge(number: int, share: Sequence[Mutant]) -> list[tuple[Mutant, Verdict]]:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saltfish-mutants-")))
            # The tests take the number as that of their Valkey database: the engines are shared.
            environ = {**os.environ, **urls, "PYTEST_XDIST_WORKER": f"gw{number}", "CI": "true"}
            environ.pop("PYTHONDONTWRITEBYTECODE", None)
            verdicts = []
            with Tree(folder, files, environ) as tree:
                wrong = tree.passes(sorted({test for mutant in share for test in mutant.tests}))
                if wrong:
                    raise SystemExit(f"without any fault the tests do not pass:\n{wrong}")
                for mutant in share:
                    began = time.monotonic()
                    verdict = tree.judge(mutant)
                    mark = "ok " if verdict.right else "BAD"
                    print(f"{mark} {time.monotonic() - began:5.1f} s  {mutant}\n    {verdict.words}", flush=True)
                    verdicts.append((mutant, verdict))
            return verdicts

        with ThreadPoolExecutor(max(len(shares), 1)) as pool:
            return [each for share in pool.map(judge, range(len(shares)), shares) for each in share]


def main() -> int:
    """The exit status: 1 where a mutant was not noticed, or a harmless one was."""
    parser = argparse.ArgumentParser(
        prog="make mutants", description="Put faults in, one at a time: tests must notice."
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, chosen by the commit")
    parser.add_argument("--seed", help="what a sample is chosen by instead")
    parser.add_argument("--file", default="", metavar="REGEX", help="only those of files whose path matches")
    parser.add_argument("--jobs", type=int, default=2, help="how many copies of the tree are worked on at once (2)")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in load_mutants() if re.search(arguments.file, mutant.file)]
    for mutant in mutants:
        mutant.changed(PROJECT_ROOT)
    if arguments.sample is not None:
        seed = arguments.seed or _git("rev-parse", "HEAD").strip()
        mutants = sample(mutants, size=arguments.sample, seed=seed)
        print(f"a sample of {len(mutants)}, seed {seed}")
    began = time.monotonic()
    verdicts = _judge_all(mutants, jobs=arguments.jobs)
    wrong = [(mutant, verdict) for mutant, verdict in verdicts if not verdict.right]
    harmless = sum(bool(mutant.harmless) for mutant, _ in verdicts)
    noticed = len(verdicts) - harmless - sum(not mutant.harmless for mutant, _ in wrong)
    took = time.monotonic() - began
    print(f"{len(verdicts)} mutants: {noticed} noticed, {harmless} harmless, {len(wrong)} wrong; {took:.0f} s")
    for mutant, verdict in wrong:
        print(f"{mutant}\n    {verdict.words}\n    {', '.join(mutant.tests)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
