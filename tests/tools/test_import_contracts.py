"""The import contracts of `setup.cfg` name no modules by hand, so one that is new today is held to them as well."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from config import PROJECT_ROOT

_CHECKED = ("app", "statemachine", "tasks", "supervisor", "crawler/xianyu")


@dataclass(frozen=True)
class Breach:
    """An import planted in a file that nobody has yet, the contract that must refuse it, and how it says so."""

    file: str
    statement: str
    contract: str
    explained: str


BREACHES = (
    Breach(
        "app/orders/probe.py",
        "from app.goods.views import api",
        "Only the factory imports views",
        "- app.orders.probe -> app.goods.views (",
    ),
    Breach(
        "app/orders/probe.py",
        "from app.web.envelope import envelope",
        "HTTP stands in views, in app.web and in the factory",
        "- app.orders.probe -> app.web.envelope (",
    ),
    Breach(
        "app/orders/probe.py",
        "from werkzeug.datastructures import MultiDict",
        "Only app.web, views and the factory use the libraries of HTTP",
        "- app.orders.probe -> werkzeug (",
    ),
    Breach(
        "app/probes/service.py",
        "from flask_jwt_extended import get_jwt",
        "Services know no HTTP",
        "-   app.probes.service -> flask_jwt_extended (",
    ),
    Breach(
        "app/probes/schemas.py",
        "from app.probes import service",
        "Inside a domain: views and commands on services on queries on schemas on models",
        "- app.probes.schemas -> app.probes.service (",
    ),
    Breach(
        "app/money/sandbox/probe.py",
        "from app.goods.models import Good",
        "The sandbox gateway is a program of its own",
        "-   app.money.sandbox.probe -> app.goods.models (",
    ),
    Breach(
        "statemachine/export/probe.py",
        "from statemachine.order import ORDER",
        "What all machines share knows none of them: a new machine is one file",
        "- statemachine.export.probe -> statemachine.order (",
    ),
    Breach(
        "app/money/probe.py",
        "from app.wallet.models import Payout",
        "The packages of the application form no circle",
        "- .money -> .wallet (1 import)",
    ),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What lint-imports says of a copy of the tree with all breaches in it."""
    tree = tmp_path_factory.mktemp("tree")
    for package in _CHECKED:
        shutil.copytree(PROJECT_ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "assets"))
    for file in ("setup.cfg", "config.py"):
        shutil.copy(PROJECT_ROOT / file, tree / file)
    for breach in BREACHES:
        path = tree / breach.file
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        with path.open("a") as file:
            file.write(f"{breach.statement}\n")
    lint_imports = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": "crawler", "COLUMNS": "200"}
    run = subprocess.run(
        [lint_imports, "--no-cache"], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.explained.strip("- ("))
def test_a_breach_in_a_new_module_is_refused(report: str, breach: Breach):
    verdicts, _, explained = report.partition("Broken contracts")
    assert [" BROKEN" in line for line in verdicts.splitlines() if line.startswith(breach.contract)] == [True]
    # Each contract explains itself under its name, which is underlined.
    section = explained.split(f"\n{breach.contract}\n{'-' * len(breach.contract)}\n")[1]
    section = re.split(r"\n[^\n]+\n-{5,}\n", section)[0]
    assert breach.explained in section


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
