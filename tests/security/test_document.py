"""docs/security.md goes through all ten risks, and each test that it names exists."""

import re

from config import PROJECT_ROOT
from tests.mutants.table import has_test

DOCUMENT = (PROJECT_ROOT / "docs" / "security.md").read_text("utf-8")


def test_each_risk_is_held_by_tests_that_exist() -> None:
    _, *sections = re.split(r"^## (?=API)", DOCUMENT, flags=re.MULTILINE)
    assert [section.partition(":")[0] for section in sections] == [f"API{number}" for number in range(1, 11)]
    for section in sections:
        tests = re.findall(r"^- `(tests/\S+)`$", section, re.MULTILINE)
        assert len(tests) >= 3, section
        assert [test for test in tests if not has_test(PROJECT_ROOT, test)] == []


def test_it_is_found_from_where_people_look() -> None:
    for name in ("README.md", "README.zh-CN.md", "SECURITY.md"):
        assert "(docs/security.md)" in (PROJECT_ROOT / name).read_text("utf-8"), name
