"""The guide "Add an event" of `docs/architecture.md` leads all the way: walked, in its order, in a copy of the tree.

A block marked `<!-- add-event: path -->` is a change of that file, one marked `<!-- add-event: run -->` a command.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import config

GUIDE = config.PROJECT_ROOT / "docs" / "architecture.md"
MACHINE = "statemachine/order.py"
RUN = "run"

_BLOCK = re.compile(r"^<!-- add-event: (\S+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A marked block of the guide: what it is for (a path, or `run`), its language and its text."""

    subject: str
    language: str
    text: str


def guide_blocks() -> list[Block]:
    """The marked blocks, in their order."""
    _, _, rest = GUIDE.read_text("utf-8").partition("### Add an event to the order\n")
    return [Block(*found) for found in _BLOCK.findall(rest.partition("\n### ")[0])]


def hunks(diff: str) -> list[tuple[str, str]]:
    """What each part of a diff without line numbers replaces, and by what; parts are separated by `@@`."""
    parts = [part.splitlines(keepends=True) for part in diff.split("@@\n")]
    return [
        tuple("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))  # type: ignore[misc] # two
        for lines in parts
    ]


def apply(block: Block, tree: Path) -> None:
    """Change the block's file in `tree`; each part of a diff has to fit exactly once."""
    path = tree / block.subject
    if block.language != "diff":
        assert not path.exists(), f"{block.subject} is there already"
        path.write_text(block.text, "utf-8")
        return
    text = path.read_text("utf-8")
    for old, new in hunks(block.text):
        assert text.count(old) == 1, f"the guide's change of {block.subject} does not fit any more: {old}"
        text = text.replace(old, new)
    path.write_text(text, "utf-8")


def run(tree: Path, command: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=tree,
        # Nothing of a `make test` around this reaches the commands.
        env={**os.environ, "PYTHONPATH": "", "MAKEFLAGS": "", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def succeed(tree: Path, command: Sequence[str | Path], **variables: str) -> None:
    done = run(tree, command, **variables)
    assert done.returncode == 0, done.stdout


def import_fails(tree: Path, module: str) -> str:
    """The last line of what Python says."""
    done = run(tree, [sys.executable, "-c", f"import {module}"])
    assert done.returncode == 1, f"{module} could be imported"
    return done.stdout.splitlines()[-1]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the files under version control, as they are now, under version control of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=config.PROJECT_ROOT, capture_output=True, check=True).stdout
    copy = tmp_path / "saltfish"
    for name in filter(None, listed.decode().split("\0")):
        if (source := config.PROJECT_ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy / name)
    succeed(copy, ["git", "init", "--quiet"])
    succeed(copy, ["git", "add", "--all"])
    return copy


def test_parts_of_a_diff() -> None:
    assert hunks(" a\n-b\n+c\n\n".replace("\n\n", "\n") + "@@\n+d\n e\n") == [("a\nb\n", "a\nc\n"), ("e\n", "d\ne\n")]


def test_the_guide_leads_all_the_way(tree: Path, stores: tuple[str, str]) -> None:
    machine, *rest = guide_blocks()
    assert machine.subject == MACHINE
    # What the machine itself says of a rule that leaves the deadline open, and the tables beside it of a new event.
    apply(machine._replace(text=machine.text.replace(", timers=timers.KEEP", "")), tree)
    assert import_fails(tree, "statemachine").endswith(
        "order: urge_shipping from (2, 6, open) changes no state and does not say what becomes of its timers"
    )
    shutil.copy(config.PROJECT_ROOT / MACHINE, tree / MACHINE)
    apply(machine, tree)
    assert import_fails(tree, "app.orders.actions").endswith(
        "EVENT_URLS in app/orders/actions.py: (urge_shipping, buyer) is missing"
    )
    assert import_fails(tree, "app.notifications.texts").endswith(
        "NOTIFICATION_TEXTS in app/notifications/texts.py: (urge_shipping, buyer, seller) is missing"
    )
    for block in rest:
        if block.subject != RUN:
            apply(block, tree)
            continue
        for command in block.text.splitlines():
            # The environment is that of this test.
            made = ["-o", "environment", "-o", "environment-dev", f"VENV={sys.executable}"]
            succeed(tree, [*command.split(), *made])
    changed = [block.subject for block in (machine, *rest) if block.subject.endswith(".py")]
    succeed(tree, [sys.executable, "-m", "ruff", "check", *changed])
    succeed(tree, [sys.executable, "-m", "ruff", "format", "--check", *changed])
    succeed(tree, [sys.executable, "-m", "statemachine", "diagram", "--all", "--check", "docs/states"])
    database_url, redis_url = stores
    tests = [
        "tests/statemachine",
        "tests/test_docs.py",
        "tests/notifications/test_texts.py",
        "tests/orders/test_urging.py",
        "tests/orders/test_actions.py::test_every_phase[2-6]",
        "tests/orders/test_cells.py::test_allowed[urge-buyer-2-6]",
        "tests/orders/test_cells.py::test_refused[2-6-urge]",
    ]
    succeed(
        tree,
        # Of the other rules nothing has changed that a proof could see; a browser is not what this is about.
        [sys.executable, "-m", "pytest", "-q", *tests, "-k", "not browser and (not single_mistake or urge_shipping)"],
        DATABASE_URL=database_url,
        # The tests there add the number of their own.
        REDIS_URL=re.sub(r"[?&]db=\d+$", "", redis_url),
    )
