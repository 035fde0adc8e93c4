"""The tables of the crawler's README, generated from its code.

`PYTHONPATH=crawler python -m tests.crawler.tables` updates the README.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

from xianyu import items, options, outcomes, run_folder
from xianyu.options import Options, variable_name
from xianyu.outcomes import EXIT_CODES, Outcome

from tests.live import PROJECT

README: Final = PROJECT / "crawler" / "README.md"


def documented(owner: type) -> dict[str, tuple[str, str]]:
    """Type and docstring of each attribute of a class, as its source has them."""
    (node,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            meaning = following.value if isinstance(following, ast.Expr) else None
            text = str(meaning.value) if isinstance(meaning, ast.Constant) else ""
            found[statement.target.id] = (ast.unparse(statement.annotation), " ".join(text.split()))
    return found


def settings_table() -> str:
    """One row for each variable of the environment."""
    rows = []
    for field, (_, meaning) in zip(fields(Options), documented(options.Options).values(), strict=True):
        rows.append((f"`{variable_name(field.name)}`", _default(field.default), meaning))
    return _table(("Variable", "Default", "Meaning"), rows)


def _default(value: object) -> str:
    if isinstance(value, Path):
        return f"`{value.relative_to(PROJECT)}`"
    if isinstance(value, bool):
        return "`no`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else ""


def fields_table() -> str:
    """One row for each key of a line in a feed."""
    rows = [(f"`{name}`", f"`{kind}`", meaning) for name, (kind, meaning) in documented(items.Listing).items()]
    return _table(("Key", "Type", "What, and where it stands in the answer"), rows)


def counts_table() -> str:
    """One row for each key of `counts` in a manifest."""
    rows = [(f"`{name}`", meaning) for name, (_, meaning) in documented(run_folder.Counts).items()]
    return _table(("Count", "Meaning"), rows)


def outcomes_table() -> str:
    """One row for each outcome, by exit code."""
    meaning = dict(re.findall(r'^    [A-Z_]+ = "(\w+)"  # (.+)$', inspect.getsource(outcomes.Outcome), re.MULTILINE))
    codes: Mapping[Outcome, int] = EXIT_CODES
    seen = sorted(codes, key=lambda outcome: codes[outcome])
    rows = [(str(codes[outcome]), f"`{outcome}`", meaning[outcome]) for outcome in seen]
    rows += [("", f"`{outcome}`", meaning[outcome]) for outcome in Outcome if outcome not in codes]
    return _table(("Exit code", "Outcome", "Meaning"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings_table,
    "outcomes": outcomes_table,
    "fields": fields_table,
    "counts": counts_table,
}


def with_tables(text: str) -> str:
    """`text` with the tables between their markers replaced."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, found, rest = text.partition(start)
        assert found, name
        _, found, after = rest.partition(end)
        assert found, name
        text = f"{before}{start}{table()}{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
