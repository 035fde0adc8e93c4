"""Every row of the table of mutants still fits: its place is there once, its tests exist, and the fault is valid code.

That each is noticed is what `make mutants` shows.
"""

from pathlib import Path

import pytest

from config import PROJECT_ROOT
from tests.mutants.table import Mutant, has_test, load_mutants, sample

MUTANTS = load_mutants()


def test_each_place_stands_once_in_its_file_and_stays_valid_code() -> None:
    for mutant in MUTANTS:
        changed = mutant.changed(PROJECT_ROOT)
        assert mutant.old != mutant.new, mutant
        if mutant.file.endswith(".py"):
            compile(changed, mutant.file, "exec")


@pytest.mark.parametrize("text", ["", "if late:\nif late:\n", "if Late:\n"])
def test_a_place_that_is_gone_or_stands_twice_is_named(tmp_path: Path, text: str) -> None:
    mutant = Mutant(file="deadlines.py", old="if late:", new="if False:", tests=())
    (tmp_path / mutant.file).write_text("if late:\n")
    assert mutant.changed(tmp_path) == "if False:\n"
    (tmp_path / mutant.file).write_text(text)
    with pytest.raises(ValueError, match=r"^deadlines\.py has [02] times what the mutant replaces: if late:$"):
        mutant.changed(tmp_path)


def test_their_tests_exist() -> None:
    missing = {test for mutant in MUTANTS for test in mutant.tests if not has_test(PROJECT_ROOT, test)}
    assert missing == set()
    assert all(mutant.tests for mutant in MUTANTS)
    assert not has_test(PROJECT_ROOT, "tests/mutants/test_table.py::test_that_is_gone")
    assert not has_test(PROJECT_ROOT, "tests/mutants/test_gone.py")


def test_there_are_enough_and_none_twice() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    assert len(MUTANTS) >= 120
    assert sum(bool(mutant.harmless) for mutant in MUTANTS) <= 5


def test_a_sample_is_that_of_its_seed() -> None:
    assert sample(MUTANTS, size=10, seed="a") == sample(MUTANTS, size=10, seed="a")
    assert sample(MUTANTS, size=10, seed="a") != sample(MUTANTS, size=10, seed="b")
    assert len(set(sample(MUTANTS, size=10, seed="a"))) == 10
