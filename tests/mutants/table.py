"""Faults that tests have to notice: rows of the `*.toml` files in this folder.

Each row is a change of one place, as a slip of the hand would make it, where it would cost money, privacy or trust:

    [[mutant]]
    file = "app/wallet/service.py"
    old = "exactly this text, which stands once in the file"
    new = "what stands there instead"
    tests = ["tests/wallet/test_payout.py::test_of_which_one_has_to_fail"]

A row with `harmless` says there why nothing can come of its fault; then the tests must pass.
"""

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One row. `tests` are ids of pytest, of which at least one has to fail unless the fault is `harmless`."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    harmless: str = ""

    def __str__(self) -> str:
        changed = [" ".join(text.split()) for text in (self.old, self.new)]
        return f"{self.file}: {changed[0][:70]} → {changed[1][:70] or 'nothing'}"

    def changed(self, tree: Path) -> str:
        """The file's text with the fault. Raises ValueError where the place is gone or stands there more than once."""
        text = (tree / self.file).read_text("utf-8")
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file} has {found} times what the mutant replaces: {self.old}")
        return text.replace(self.old, self.new)


def load_mutants() -> list[Mutant]:
    """All rows, by file and place in it."""
    return [
        Mutant(**{**row, "tests": tuple(row["tests"])})
        for path in sorted(FOLDER.glob("*.toml"))
        for row in tomllib.loads(path.read_text("utf-8"))["mutant"]
    ]


def sample(mutants: Sequence[Mutant], *, size: int, seed: str) -> list[Mutant]:
    """`size` of the mutants, always the same ones for the same `seed`."""
    return random.Random(seed).sample(mutants, min(size, len(mutants)))


def has_test(tree: Path, test: str) -> bool:
    """Whether `test`, an id of pytest or a file of tests, is there."""
    path, _, name = test.partition("::")
    file = tree / path
    if not (file.is_file() and file.name.startswith("test_")):
        return False
    function = name.partition("[")[0]
    return not name or re.search(rf"^def {re.escape(function)}\(", file.read_text("utf-8"), re.MULTILINE) is not None
