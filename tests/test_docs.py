"""The documents are true: links, names of files and functions, settings, the walk, the map of the API spec."""

import ast
import importlib
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import config
from app.answers import Answer
from app.factory import APIS
from app.version import __version__
from app.web.api import Operation
from tests.contract import api_spec

ROOT = Path(config.__file__).parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
DOCUMENTS = (
    *READMES,
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
API_MAP = ROOT / "docs" / "api-map.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_REFERENCE = re.compile(r"`([\w./-]+\.py)(?::([\w.]+))?`")

# Files that are named without their folder: each domain has its own of them,
EVERYWHERE = {"models.py", "schemas.py", "queries.py", "service.py", "views.py", "cli.py"}
# and one is flask-openapi's.
FOREIGN = {"request.py"}


def prose(document: Path) -> str:
    """A document without its code blocks."""
    return _FENCE.sub("", document.read_text("utf-8"))


def between(text: str, start: str, end: str) -> str:
    """What stands between two markers, each there once."""
    assert text.count(start) == 1
    rest = text.split(start)[1]
    assert rest.count(end) >= 1
    return rest.split(end)[0]


def relative(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


# The two READMEs


@pytest.mark.parametrize("readme", READMES, ids=relative)
def test_the_settings_are_those_of_config(readme: Path) -> None:
    table = between(readme.read_text("utf-8"), "<!-- settings -->\n", "\n<!-- /settings -->")
    assert table == config.settings_table()


def test_the_walk_is_the_same_in_both_languages() -> None:
    english, chinese = (between(readme.read_text("utf-8"), "<!-- walk -->\n```sh\n", "\n```\n") for readme in READMES)
    assert english == chinese
    assert english.startswith("base=http://127.0.0.1:${PORT:-8000}\n")


def test_both_languages_have_the_same_parts() -> None:
    def parts(readme: Path) -> dict[str, Any]:
        text = prose(readme)
        return {
            "headings": [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)],
            "items": re.findall(r"^(-|\d\.) ", text, re.MULTILINE),
            "links": sorted({link for link in _LINK.findall(text) if not link.startswith("README")}),
            "commands": [
                [line.split("  #")[0].rstrip() for line in block.splitlines()]
                for block in _FENCE.findall(readme.read_text("utf-8"))
            ],
        }

    assert parts(READMES[0]) == parts(READMES[1])


# Links and names


@cache
def anchors(document: Path) -> frozenset[str]:
    """What a link to a heading of the document may name, as GitHub makes it of the heading."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings)


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(document)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_make_target_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = document.read_text("utf-8")
    commands = [*re.findall(r"`(make [^`]+)`", prose(document)), *"\n".join(_FENCE.findall(text)).splitlines()]
    named = {found[1] for command in commands if (found := re.match(r"make\s+([a-z-]+)", command))}
    assert named - targets == set()


AS_THEY_CAME = (ROOT / "tests/contract/api-notes.txt", ROOT / "app/office/assets/htmx-2.0.11.min.js")


def test_files_look_as_the_editor_is_told() -> None:
    """`.editorconfig` is true: UTF-8, plain newlines, no blanks at the end of lines, tabs only in the Makefile."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    wrong = []
    folders = {ROOT / "crawler/samples", ROOT / "tests/crawler/cases"}
    for path in paths:
        as_it_came = path in AS_THEY_CAME or not folders.isdisjoint(path.parents)
        if as_it_came or path.suffix in (".jpg", ".heic", ".webp", ".png", ".gif", ".crt") or not path.exists():
            continue
        text = path.read_bytes().decode("utf-8")
        lines = text.split("\n")
        well = not lines[-1] and "\r" not in text and not any(line[-1:].isspace() for line in lines)
        if not well or (path.name != "Makefile" and any(line.startswith("\t") for line in lines)):
            wrong.append(relative(path))
    assert wrong == []


@cache
def definitions(path: str) -> dict[str, ast.AST]:
    """What a module defines, by name; methods and members as `Class.name`."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return dict(_defined(tree.body, prefix=""))


def _defined(body: list[ast.stmt], *, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _defined(node.body, prefix=f"{prefix}{node.name}.")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id, node
        elif isinstance(node, ast.Assign):
            yield from ((prefix + target.id, node) for target in node.targets if isinstance(target, ast.Name))


def unknown(path: str, name: str) -> str | None:
    """What is wrong with `path:name`, if anything is."""
    if path in EVERYWHERE | FOREIGN and not name:
        return None
    if not (ROOT / path).is_file():
        return f"{path}: no such file"
    if name and name not in definitions(path):
        return f"{path} defines no {name}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_every_file_and_function_named_exists(document: Path) -> None:
    text = prose(document)
    if document == API_MAP:
        text = re.sub(r"^\| `[^`]*` ", "", text, flags=re.MULTILINE)  # the API spec's own names
    wrong = [fault for path, name in _REFERENCE.findall(text) if (fault := unknown(path, name))]
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "name", "fault"),
    [
        ("app/answers.py", "Answer.LOGGED_IN", None),
        ("app/orders/service.py", "ship_order", None),
        ("statemachine/order.py", "ORDER", None),
        ("statemachine/engine.py", "Flow.fire", None),
        ("app/answers.py", "Answer.LOGGED_ON", "app/answers.py defines no Answer.LOGGED_ON"),
        ("app/orders/service.py", "order", "app/orders/service.py defines no order"),
        ("app/order.py", "", "app/order.py: no such file"),
    ],
)
def test_what_does_not_exist_is_noticed(path: str, name: str, fault: str | None) -> None:
    assert unknown(path, name) == fault


def test_the_layout_is_as_drawn() -> None:
    drawn = between(ARCHITECTURE.read_text("utf-8"), "## Layout\n\n```\n", "\n```")
    folders: list[str] = []
    paths = set()
    for line in drawn.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name]
        paths.add("".join(folders))
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    packages = {
        f"{relative(path.parent)}/"
        for folder in ("app", "statemachine", "tasks", "supervisor")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    modules = {relative(path) for path in (ROOT / "app").glob("*.py") if path.name not in ("__init__.py", "version.py")}
    assert sorted((packages | modules) - paths) == []


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    found = {}
    for path in sorted(folder.glob("[0-9]*.md")):
        title, _, date_and_status = path.read_text("utf-8").split("\n", 3)[:3]
        number, heading = re.fullmatch(r"# (\d+)\. (.+)", title).groups()  # type: ignore[union-attr] # None is a failure too
        date, status = re.fullmatch(r"Date: ([\d-]{10})\. Status: (\w+)\.", date_and_status).groups()  # type: ignore[union-attr] # as above
        assert path.name.startswith(f"{int(number):04d}-")
        found[int(number)] = (heading, path.name, date, status)
    rows = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((.+)\) \| (.+) \| (.+) \|$", (folder / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert {int(number): tuple(rest) for number, *rest in rows} == found
    assert sorted(found) == list(range(1, len(found) + 1))


def test_the_changelog_knows_this_version() -> None:
    versions = re.findall(r"^## \[([^]]+)\](?: - (\d{4}-\d\d-\d\d))?$", prose(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == __version__
    assert all(date for _, date in versions[1:])


# The map of the API spec


class Row(NamedTuple):
    """One row of a table of the map: the heading above it, its cells."""

    section: str
    cells: tuple[str, ...]

    @property
    def line(self) -> str:
        """What it maps: the API spec's words."""
        return self.cells[0].strip("`")

    @property
    def references(self) -> list[tuple[str, str]]:
        """The `(path, name)` that it names."""
        return _REFERENCE.findall(" ".join(self.cells[1:]))


@cache
def api_map() -> tuple[Row, ...]:
    rows, section = [], ""
    for text in API_MAP.read_text("utf-8").splitlines():
        if text.startswith("## "):
            section = text.removeprefix("## ")
        elif text.startswith("| `"):
            rows.append(Row(section, tuple(cell.strip() for cell in text.strip("|").split("|"))))
    return tuple(rows)


# Of the map's sections the one that is not about the API spec.
BESIDE = "URLs beside the API spec"


def lines(section: str) -> list[str]:
    return [row.line for row in api_map() if row.section == section]


# The lines of the API spec that name no thing: headings of its sections.
HEADINGS = {
    "response请求状态规范",
    "api接口:",
    *("4.22", "4.23", "4.24", "4.25", "4.26"),
    "内部流程",
    "status:",
    "msg:",
    "# 正常的",
    "# 怀疑被攻击",
    "# 交易方式和商品状态",
    "# 商品分类",
    "# 订单状态及钱款状态 OrderStatusAndBillStatus",
}


def key(line: str) -> str:
    """How the map calls a line of the API spec: without what explains it."""
    if line.startswith("/"):
        return re.match(r"[a-z_/()]+", line).group()  # type: ignore[union-attr] # it begins with a slash
    if code := re.match(r"\((\d+),\s*'([^']+)'\)", line):
        return f"{code[1]} {code[2]}"
    if re.match(r"(good\.utils|celery_)", line):
        return line.split()[0]
    return line


def test_every_line_of_the_spec_has_its_row() -> None:
    text = re.sub(r"\n,", ",", api_spec.TEXT)  # a line that goes on
    wanted = [key(line.strip()) for line in text.splitlines() if line.strip() and line.strip() not in HEADINGS]
    assert set(text.splitlines()) >= HEADINGS
    assert len(wanted) == 1 + 20 + 7 + 4 + 21 + 8 + 9 + 10
    # URLs have a row for each method.
    mapped = [row.line for row in api_map() if row.section != BESIDE]
    assert list(dict.fromkeys(mapped)) == list(dict.fromkeys(_in_the_map_s_order(wanted)))


def _in_the_map_s_order(keys: list[str]) -> list[str]:
    """The map groups what the API spec tells day by day; within a group the order is the API spec's."""
    groups: dict[int, list[str]] = defaultdict(list)
    for each in keys:
        inner = re.match(r"good\.|celery_|用户发布", each)
        groups[0 if each.startswith("response") else 1 if each.startswith("/") else 2 if inner else 3].append(each)
    return [each for _, group in sorted(groups.items()) for each in group]


def test_every_row_says_where() -> None:
    assert [row.line for row in api_map() if not row.references] == []


def _view(operation: Operation) -> str:
    """The function's name. The POST of a PATCH has its view."""
    return operation.name.partition(".")[2].removesuffix("_post")


def _plain(url: str) -> str:
    return re.sub(r"<id:(\w+)>", r"\1", url).replace("(", "").replace(")", "").rstrip("/")


@pytest.mark.parametrize("section", ["URLs", BESIDE])
def test_every_url_names_its_views(section: str) -> None:
    operations = {
        (_plain(each.rule), each.method): (api.import_name.replace(".", "/") + ".py", _view(each))
        for api in APIS
        for each in api.operations
        # What the application itself is asked.
        if not api.import_name.startswith("app.web.")
    }
    documented = {_plain(url) for url in api_spec.urls()}
    served = {at: view for at, view in operations.items() if (at[0] in documented) is (section == "URLs")}
    rows = [row for row in api_map() if row.section == section]
    assert {(_plain(row.line), row.cells[1]): _REFERENCE.findall(row.cells[2])[0] for row in rows} == served
    assert len(rows) == len(served)


def test_every_view_calls_what_stands_beside_it() -> None:
    for row in api_map():
        if row.section not in ("URLs", BESIDE):
            continue
        (path, view), *named = row.references
        calls = [node.func for node in ast.walk(definitions(path)[view]) if isinstance(node, ast.Call)]
        called = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
        verbs = {
            call.attr
            for call in calls
            if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "service"
        }
        assert {name for _, name in named} <= called, row.line
        assert {name for path, name in named if path.endswith("/service.py")} == verbs, row.line


def test_statuses_and_messages_have_the_spec_s_values() -> None:
    for row in api_map():
        if row.section not in ("Status numbers", "Messages"):
            continue
        ((_, name),) = row.references
        answer = Answer[name.removeprefix("Answer.")]
        assert answer.status == int(row.line[:3])
        if row.section == "Messages":
            assert f"{answer.status} '{answer.msg}'" == row.line
    assert lines("Messages") == [f"{status} '{text}'" for status, text in api_spec.messages()]


def test_codes_have_the_spec_s_values() -> None:
    rows = [row for row in api_map() if row.section == "Codes"]
    assert len(rows) == 27
    for row in rows:
        member, texts = (_value(path, name) for path, name in row.references)
        assert f"{int(member)} {texts[member]}" == row.line


def _value(path: str, name: str) -> Any:
    value: Any = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for part in name.split("."):
        value = getattr(value, part)
    return value
