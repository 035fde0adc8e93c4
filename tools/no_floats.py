"""No float anywhere near money: `python -m tools.no_floats` reads the code and names every place that could make one.

Money is integer fen. What looks like a float here is a literal, the type itself, a true division, rounding, a function
of `math`, a fixed-point format, a column or an SQL type that is no integer. Floats that are not about money (seconds,
say) are listed in `ALLOWED`, each with its reason; an entry that matches nothing any more is an error too.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

SCOPE: Final = (
    "app/cashier",
    "app/db/columns.py",
    "app/fen.py",
    "app/fields/amounts.py",
    "app/ledger",
    "app/listings/axis.py",
    "app/listings/chart.py",
    "app/listings/importer.py",
    "app/listings/models.py",
    "app/listings/queries.py",
    "app/listings/schemas.py",
    "app/listings/statistics.py",
    "app/money",
    "app/orders",
    "app/seed/demo_data.py",
    "app/seed/service.py",
    "app/staff",
    "app/wallet",
    "crawler/xianyu/labels.py",
    "crawler/xianyu/parsing.py",
    "crawler/xianyu/prices.py",
    "crawler/xianyu/values.py",
    "migrations",
    "statemachine",
)
"""Whatever computes with money, keeps it or shows it."""


class Kind(StrEnum):
    """What was found."""

    LITERAL = "a float literal"
    TYPE = "the type float"
    DIVISION = "a true division"
    ROUNDING = "rounding"
    MATH = "a function over floats"
    DECIMAL = "a Decimal that may be made of a float"
    FORMAT = "a format that makes a float"
    COLUMN = "a column that is no integer"
    SQL = "an SQL type or function that is no integer's"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place: the file relative to the root, the line, and the code that a reader looks for there."""

    path: str
    line: int
    kind: Kind
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.code}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Findings in `path` (a file, or a folder with a slash) whose whole code `pattern` describes."""

    path: str
    pattern: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether it allows this finding."""
        inside = finding.path.startswith(self.path) if self.path.endswith("/") else finding.path == self.path
        return inside and re.fullmatch(self.pattern, finding.code, re.DOTALL) is not None


_SECONDS: Final = "seconds of a clock; its money is amount_fen, an integer"
_WAIT: Final = "whole seconds to wait"
_DRAWING: Final = "coordinates of a drawing"

ALLOWED: Final = (
    Allowed("app/fen.py", r"isinstance\(value, str \| int \| float\)", "a JSON number is read back from its repr"),
    Allowed("app/fields/amounts.py", r"isinstance\(value, str \| int \| float\)", "as in app/fen.py"),
    Allowed("app/fields/amounts.py", r"0\.01", "the JSON schema's multipleOf, which clients read"),
    Allowed("app/ledger/models.py", r"total numeric;", "the sum of bigints: exact, and beyond their range"),
    Allowed(
        "migrations/versions/20261130_0030_search_documents.py",
        "Float",
        "how many seconds counting words takes, and the average length of what is searched",
    ),
    Allowed("migrations/versions/20261122_0002_ledger.py", r"total numeric;", "as in app/ledger/models.py"),
    Allowed("app/listings/axis.py", r"(start|end): float|at\(\) -> float|\(self\.end .* / \(self\.high .*", _DRAWING),
    Allowed("app/listings/chart.py", r"(x|y|width|height|value): float|points: .*|round\(value, 1\)(:g)?", _DRAWING),
    Allowed("app/listings/chart.py", r"_(advance|ems)\(\) -> float|[01]\.\d+", "widths of text"),
    Allowed(
        "app/listings/chart.py", r"\([a-z]+ \+ [a-z]+( - width)?\) / 2|_advance\(.*\) / 2|.* / len\(weeks\)", _DRAWING
    ),
    Allowed("app/listings/chart.py", r"\.price-chart .*", "colours"),
    Allowed(
        "app/listings/statistics.py",
        r"math\.log\(.*\)|math\.expm1\(4 \* slope\)|round\(math\.expm1\(4 \* slope\) \* 100\)|1\.4826|0\.1",
        "logarithms of prices: they tell outliers and percents, never an amount",
    ),
    Allowed("app/listings/statistics.py", r"_median\(\) -> float|ordered: Sequence\[float\]|\(.*\) / .*", "as above"),
    Allowed("app/money/gateways/alipay.py", r"timeout_s: float", "seconds"),
    Allowed("app/money/sandbox/", r"(now|since|until|epoch|default|\w+_at|\w+_s): float( \| None)?", _SECONDS),
    Allowed("app/money/sandbox/", r"(epoch_of|expiry)\(\) -> float", _SECONDS),
    Allowed("app/money/sandbox/", r"(notify_)?factor: float", "how much faster time goes"),
    Allowed(
        "app/money/sandbox/", r"1\.0|10\.0|math\.isfinite\(self\.notify_\w+\)|\('SANDBOX_NOTIFY_\w+', float\)", _SECONDS
    ),
    Allowed(
        "app/money/sandbox/server.py", r"_METHODS: Mapping\[str, Callable\[\[Sandbox, Request, float\], .*", _SECONDS
    ),
    Allowed("app/money/sandbox/store.py", r"\w+_at REAL.*", _SECONDS),
    Allowed("app/money/sandbox/day_bill.py", r"self\._given: dict\[str, tuple\[str, float\]\]", _SECONDS),
    Allowed("app/money/sandbox/", r"settings\.keys / keys\.\w+|directory / \w+_name", "paths"),
    Allowed("app/cashier/views.py", r"math\.(ceil|floor)\(.*\.total_seconds\(\)\)", _WAIT),
    Allowed("app/orders/purchase_limits.py", r"math\.ceil\(wait\.total_seconds\(\)\)", _WAIT),
    Allowed("crawler/xianyu/values.py", r"isinstance\(value, int \| float\)", "as in app/fen.py"),
    Allowed("statemachine/labels.py", r"duration\.total_seconds\(\):g", "a duration in words"),
    Allowed("statemachine/export/layout.py", r".*", _DRAWING),
    Allowed("statemachine/export/svg.py", r".*", _DRAWING),
)

_MATH_MODULES: Final = frozenset({"math", "cmath", "statistics", "numpy"})
_COLUMNS: Final = frozenset({"Float", "FLOAT", "Double", "DOUBLE", "DOUBLE_PRECISION", "REAL", "Numeric", "NUMERIC"})
# Places, exponents, percents: what turns an integer into a float before it is written.
_FLOAT_FORMAT: Final = re.compile(r"[eEfFgG%]$")
_MOMENT_FORMAT: Final = re.compile(r"%[a-zA-Z]")
_TEMPLATE: Final = re.compile(r"%[-+ 0#]*\d*(?:\.\d+)?[eEfFgG](?![a-zA-Z])|\{[^{}%]*:[^{}%]*[eEfFgG%]\}")
_SQL: Final = re.compile(
    r"::\s*(?:real|float|double|numeric|decimal|money)"
    r"|\b(?:real|float[48]?|double precision|numeric|decimal)\b(?=\s*(?:[,;()\[]|$|(?:NOT|NULL|DEFAULT|CHECK)\b))"
    r"|\b(?:avg|round)\s*\(",
    re.IGNORECASE,
)


def findings_in(source: str, path: str) -> list[Finding]:
    """What is found in the text of one module, in the order of its lines."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = {Finding(path, line, kind, code) for node in ast.walk(tree) for line, kind, code in _look(node, parents)}
    return sorted(found, key=lambda finding: (finding.line, finding.kind, finding.code))


def _look(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[tuple[int, Kind, str]]:
    yield from _values(node, parents)
    yield from _arithmetic(node)
    yield from _texts(node, parents)


def _values(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[tuple[int, Kind, str]]:
    match node:
        case ast.Constant(value=float() | complex()):
            yield node.lineno, Kind.LITERAL, ast.unparse(node)
        case ast.Name(id="float" | "complex"):
            yield node.lineno, Kind.TYPE, _code_around(node, parents)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _COLUMNS:
            yield node.lineno, Kind.COLUMN, name
        case _:
            pass


def _arithmetic(node: ast.AST) -> Iterator[tuple[int, Kind, str]]:
    match node:
        case ast.BinOp(op=ast.Div()) if not (_is_text(node.left) or _is_text(node.right)):
            yield node.lineno, Kind.DIVISION, ast.unparse(node)
        case ast.AugAssign(op=ast.Div()):
            yield node.lineno, Kind.DIVISION, ast.unparse(node)
        case ast.Call(func=ast.Name(id="round")):
            yield node.lineno, Kind.ROUNDING, ast.unparse(node)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=module))) if module in _MATH_MODULES:
            yield node.lineno, Kind.MATH, ast.unparse(node)
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _MATH_MODULES:
            yield node.lineno, Kind.MATH, ast.unparse(node)
        case ast.Import(names=names) if any(each.asname and each.name in _MATH_MODULES for each in names):
            yield node.lineno, Kind.MATH, ast.unparse(node)
        case ast.Call(func=ast.Name(id="Decimal") | ast.Attribute(attr="Decimal")) if not _is_exact(node.args):
            yield node.lineno, Kind.DECIMAL, ast.unparse(node)
        case _:
            pass


def _texts(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> Iterator[tuple[int, Kind, str]]:
    match node:
        case ast.FormattedValue(value=value, format_spec=ast.JoinedStr(values=[*_, ast.Constant(value=str(spec))])):
            # strftime's codes end like these, and moments are written with them.
            if _FLOAT_FORMAT.search(spec) and not _MOMENT_FORMAT.search(spec):
                yield node.lineno, Kind.FORMAT, f"{ast.unparse(value)}:{spec}"
        case ast.Constant(value=str(text)) if not isinstance(parents[node], ast.Expr):
            yield from _look_into(text, node.lineno)
        case _:
            pass


def _look_into(text: str, first: int) -> Iterator[tuple[int, Kind, str]]:
    """What a string that is no docstring says; of several lines each is named by its own."""
    for number, line in enumerate(text.splitlines()):
        # An escaped line end shifts the count, never by more than the statement is long.
        if _SQL.search(line):
            yield first + number, Kind.SQL, line.strip()
        if _TEMPLATE.search(line):
            yield first + number, Kind.FORMAT, line.strip()


def _code_around(name: ast.Name, parents: dict[ast.AST, ast.AST]) -> str:
    """The annotation with what it is of, or the smallest whole expression."""
    node: ast.AST = name
    while True:
        parent = parents[node]
        match parent:
            case ast.arg(arg=variable):
                return f"{variable}: {ast.unparse(node)}"
            case ast.AnnAssign(target=target, annotation=annotation) if annotation is node:
                return f"{ast.unparse(target)}: {ast.unparse(node)}"
            case ast.FunctionDef(name=function):
                return f"{function}() -> {ast.unparse(node)}"
            case ast.BinOp(op=ast.BitOr()) | ast.Subscript() | ast.Tuple() | ast.List() | ast.Call():
                node = parent
            case _:
                return ast.unparse(node)


def _is_text(node: ast.expr) -> bool:
    """Whether it is certainly a string: then the division joins a path."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_exact(arguments: Sequence[ast.expr]) -> bool:
    return all(isinstance(each, ast.Constant) and isinstance(each.value, str | int) for each in arguments)


def check(root: Path, scope: Sequence[str] = SCOPE, allowed: Sequence[Allowed] = ALLOWED) -> list[str]:
    """A line for each finding that nothing allows and for each entry that allows nothing; empty where all is well."""
    found = [finding for name in scope for finding in _findings_under(root, root / name)]
    said = [str(finding) for finding in found if not any(entry.covers(finding) for entry in allowed)]
    idle = [entry for entry in allowed if not any(entry.covers(finding) for finding in found)]
    return said + [f"tools/no_floats.py: allows nothing any more: {entry.path}: {entry.pattern}" for entry in idle]


def _findings_under(root: Path, place: Path) -> Iterator[Finding]:
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    if not files:
        raise FileNotFoundError(f"there is no code in {place}")
    for file in files:
        yield from findings_in(file.read_text("utf-8"), file.relative_to(root).as_posix())


def main() -> int:
    """Print what is found; the exit status is 0 where that is nothing, else 1."""
    said = check(ROOT)
    for line in said:
        print(line)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
