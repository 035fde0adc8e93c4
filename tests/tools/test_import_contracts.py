"""The import contracts of `setup.cfg` name no modules by hand, so one that is new today is held to them as well."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config import PROJECT_ROOT

_CHECKED = ("app", "statemachine", "tasks", "supervisor", "crawler/xianyu")

BREACHES = {
    "app/orders/probe.py": (
        ("from app.goods.views import api", "Only the factory imports views"),
        ("from app.web.envelope import envelope", "HTTP stands in views, in app.web and in the factory"),
        (
            "from werkzeug.datastructures import MultiDict",
            "Only app.web, views and the factory use the libraries of HTTP",
        ),
    ),
    "app/probes/service.py": (("from flask_jwt_extended import get_jwt", "Services know no HTTP"),),
    "app/probes/schemas.py": (
        ("from app.probes import service", "Inside a domain: views and commands on services on queries on schemas"),
    ),
    "app/money/sandbox/probe.py": (
        ("from app.goods.models import Good", "The sandbox gateway is a program of its own"),
    ),
    "statemachine/export/probe.py": (
        ("from statemachine.order import ORDER", "What all machines share knows none of them"),
    ),
    "app/clock_probe.py": (("from app.web_probe import moment", "The packages of the application form no circle"),),
    "app/web_probe.py": (("from app.clock_probe import moment", "The packages of the application form no circle"),),
}
"""Files that nobody has yet, the imports planted in each, and the contract that must refuse each import."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy of the tree with all breaches in it."""
    tree = tmp_path_factory.mktemp("tree")
    for package in _CHECKED:
        shutil.copytree(PROJECT_ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "assets"))
    for file in ("setup.cfg", "config.py"):
        shutil.copy(PROJECT_ROOT / file, tree / file)
    for file, imports in BREACHES.items():
        path = tree / file
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text("".join(f"{statement}\n" for statement, _ in imports))
    lint_imports = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": "crawler", "COLUMNS": "200"}
    run = subprocess.run(
        [lint_imports, "--no-cache"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize(
    ("file", "statement", "contract"),
    [(file, *breach) for file, breaches in BREACHES.items() for breach in breaches],
)
def test_a_breach_in_a_new_module_is_refused(report: str, file: str, statement: str, contract: str):
    kept, _, explained = report.partition("Broken contracts")
    refused = [line for line in kept.splitlines() if line.startswith(contract)]
    assert [" BROKEN" in line for line in refused] == [True]
    # Which import it was, where the contract says so; circles are named by their packages.
    module, imported = file.removesuffix(".py").replace("/", "."), statement.split()[1]
    assert f"{module} -> {imported}" in explained or f".{module.rpartition('.')[2]}" in explained


@pytest.mark.parametrize(
    ("file", "findings"),
    [("app/orders/probe.py", ["TID251"]), ("app/offers/service.py", ["TID251"]), ("app/offers/views.py", [])],
)
def test_a_request_is_read_by_views_and_the_web_layer_alone(file: str, findings: list[str]):
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--output-format", "json", "-"]
    probe = "from flask import current_app, request\n\nprint(current_app, request)\n"
    run = subprocess.run(
        [*command, "--stdin-filename", file], cwd=PROJECT_ROOT, input=probe, capture_output=True, text=True, check=False
    )
    assert [finding["code"] for finding in json.loads(run.stdout)] == findings
