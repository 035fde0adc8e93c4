"""`make test-quick` runs what `tests/quick.txt` names: something of every domain and of every package."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
LINES = (PROJECT / "tests" / "quick.txt").read_text().splitlines()


def packages(folder: str) -> list[str]:
    """The packages in a folder, as they are imported."""
    found = sorted(path.parent.relative_to(PROJECT) for path in (PROJECT / folder).glob("*/__init__.py"))
    return [".".join(path.parts) for path in found]


PACKAGES = [name for name in (*packages("."), *packages("app"), "xianyu") if name not in ("app", "tests")]


def test_what_is_listed_exists_once_and_in_order() -> None:
    assert sorted(set(LINES)) == LINES
    for line in LINES:
        path, _, function = line.partition("::")
        assert f"def {function}" in (PROJECT / path).read_text(), line


OVER_HTTP = {"app.cashier": "/order/pay/", "app.cases": "/api/staff/money_case", "app.office": "/admin/"}
"""What tests do not import but call: a part of its URLs."""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_tried(package: str) -> None:
    """A listed file imports it, runs it as a program or calls it."""
    called = OVER_HTTP.get(package)
    used = re.compile(called or rf"^(from|import) {package}\b|\"{package}\.", re.MULTILINE)
    assert [line for line in LINES if used.search((PROJECT / line.partition("::")[0]).read_text())] != []
