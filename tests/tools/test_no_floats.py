"""The lint that keeps floats away from money: it finds each kind, at its line, and nothing where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import PROJECT
from tools.no_floats import ALLOWED, SCOPE, Allowed, Finding, Kind, check, findings_in

FOUND = [
    ("fee = amount * 0.025", Kind.LITERAL, "0.025"),
    ("fee = 1e2", Kind.LITERAL, "100.0"),
    ("fee = 2j", Kind.LITERAL, "2j"),
    ("fee = float(amount)", Kind.TYPE, "float(amount)"),
    ("parse = float", Kind.TYPE, "float"),
    ("def pay(amount: float) -> None: ...", Kind.TYPE, "amount: float"),
    ("def pay(*, amount: float | None) -> None: ...", Kind.TYPE, "amount: float | None"),
    ("def share() -> float: ...", Kind.TYPE, "share() -> float"),
    ("amount: list[float] = []", Kind.TYPE, "amount: list[float]"),
    ("fee = amount / 40", Kind.DIVISION, "amount / 40"),
    ("amount /= 40", Kind.DIVISION, "amount /= 40"),
    ("fee = round(amount, -2)", Kind.ROUNDING, "round(amount, -2)"),
    ("fee = math.floor(amount)", Kind.MATH, "math.floor(amount)"),
    ("fee = statistics.mean(amounts)", Kind.MATH, "statistics.mean(amounts)"),
    ("from math import floor", Kind.MATH, "from math import floor"),
    ("import math as m", Kind.MATH, "import math as m"),
    ("fee = Decimal(amount)", Kind.DECIMAL, "Decimal(amount)"),
    ("fee = decimal.Decimal(price)", Kind.DECIMAL, "decimal.Decimal(price)"),
    ("text = f'{amount:.2f}'", Kind.FORMAT, "amount:.2f"),
    ("text = f'{amount:{width}.2f}'", Kind.FORMAT, "amount:.2f"),
    ("text = f'{amount:%}'", Kind.FORMAT, "amount:%"),
    ("text = '%.2f' % amount", Kind.FORMAT, "%.2f"),
    ("text = '{:,.2f} yuan'.format(amount)", Kind.FORMAT, "{:,.2f} yuan"),
    ("amount = Column(Float)", Kind.COLUMN, "Float"),
    ("amount = Column(sa.Numeric(10, 2))", Kind.COLUMN, "Numeric"),
    ("amount = Column(postgresql.DOUBLE_PRECISION)", Kind.COLUMN, "DOUBLE_PRECISION"),
    ("sql = 'SELECT amount::real FROM orders'", Kind.SQL, "SELECT amount::real FROM orders"),
    ("sql = 'SELECT amount :: double precision'", Kind.SQL, "SELECT amount :: double precision"),
    ("sql = 'SELECT amount::money'", Kind.SQL, "SELECT amount::money"),
    ("sql = 'SELECT CAST(amount AS numeric)'", Kind.SQL, "SELECT CAST(amount AS numeric)"),
    ("sql = 'ALTER TABLE orders ADD fee NUMERIC(10, 2)'", Kind.SQL, "ALTER TABLE orders ADD fee NUMERIC(10, 2)"),
    ("sql = 'fee DOUBLE PRECISION NOT NULL'", Kind.SQL, "fee DOUBLE PRECISION NOT NULL"),
    ("sql = 'fee float8'", Kind.SQL, "fee float8"),
    ("sql = 'SELECT avg(amount) FROM orders'", Kind.SQL, "SELECT avg(amount) FROM orders"),
    ("sql = 'SELECT ROUND(amount) FROM orders'", Kind.SQL, "SELECT ROUND(amount) FROM orders"),
]

NOT_FOUND = [
    "fee = amount * basis_points // 10_000",
    "whole, rest = divmod(amount, 100)",
    "text = f'{fen // 100}.{fen % 100:02d}'",
    "text = f'{moment:%Y-%m-%d %H:%M}'",
    "text = '%d fen' % amount",
    "path = folder / 'keys'",
    "path = 'keys' / folder / f'{name}.pem'",
    "fee = Decimal('0.01')",
    "import math",
    '"""Never a float: 0.1 is none, and numeric, is a type."""',
    "sql = 'SELECT sum(amount) FROM orders'",
    "text = 'the real name, and two decimal places'",
]


def only(source: str) -> list[tuple[Kind, str]]:
    return [(finding.kind, finding.code) for finding in findings_in(source, "x.py")]


@pytest.mark.parametrize(("source", "kind", "code"), FOUND, ids=[source for source, _, _ in FOUND])
def test_each_kind_is_found(source: str, kind: Kind, code: str) -> None:
    assert only(source) == [(kind, code)]


def test_every_kind_has_its_example() -> None:
    assert {kind for _, kind, _ in FOUND} == set(Kind)


@pytest.mark.parametrize("source", NOT_FOUND)
def test_integers_and_texts_are_left_alone(source: str) -> None:
    assert only(source) == []


def test_lines_are_those_of_the_file() -> None:
    source = 'total = 1\nSQL = """\nSELECT 1;\nSELECT x::real;\n"""\nfee = total / 2 * 0.5\n'
    assert findings_in(source, "app/x.py") == [
        Finding("app/x.py", 4, Kind.SQL, "SELECT x::real;"),
        Finding("app/x.py", 6, Kind.LITERAL, "0.5"),
        Finding("app/x.py", 6, Kind.DIVISION, "total / 2"),
    ]


def write(root: Path, path: str, source: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)


def test_what_is_allowed_is_allowed_there_alone(tmp_path: Path) -> None:
    for path in ("app/money/a.py", "app/money/b/c.py", "app/fen.py"):
        write(tmp_path, path, "timeout_s: float\namount: float\n")
    seconds = Allowed("app/money/", r"\w+_s: float", "seconds")
    assert check(tmp_path, ("app/fen.py", "app/money"), (seconds,)) == [
        "app/fen.py:1: the type float: timeout_s: float",
        "app/fen.py:2: the type float: amount: float",
        "app/money/a.py:2: the type float: amount: float",
        "app/money/b/c.py:2: the type float: amount: float",
    ]
    one_file = Allowed("app/fen.py", ".*", "a file, not what begins like it")
    write(tmp_path, "app/fen.pyx/d.py", "amount: float\n")
    assert check(tmp_path, ("app/fen.pyx",), (one_file,)) == [
        "app/fen.pyx/d.py:1: the type float: amount: float",
        "tools/no_floats.py: allows nothing any more: app/fen.py: .*",
    ]


def test_a_place_without_code_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no code in"):
        check(tmp_path, ("app/monney",))


def test_every_exception_says_why() -> None:
    assert [entry for entry in ALLOWED if not entry.reason] == []
    assert {"app/money", "app/ledger", "app/wallet", "app/orders", "app/fen.py", "migrations"} <= set(SCOPE)


def test_the_project_has_no_float_near_money() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.no_floats"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "-m tools.no_floats" in (PROJECT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
