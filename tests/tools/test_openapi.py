"""docs/openapi.json is what the application serves, and the check of it says when it is not."""

import json
import sys
from pathlib import Path

import pytest

from config import PROJECT_ROOT
from tools import openapi


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of `python -m tools.openapi`."""
    monkeypatch.setattr(sys, "argv", ["tools.openapi", *arguments])
    return openapi.main()


def test_the_committed_document_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--check", str(PROJECT_ROOT / "docs" / "openapi.json")) == 0


def test_a_document_that_differs_or_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "openapi.json"
    said = f"{file} is not what the application serves: run `make openapi`\n"
    assert (run(monkeypatch, "--check", str(file)), capsys.readouterr().err, file.exists()) == (1, said, False)
    assert run(monkeypatch, str(file)) == 0
    assert run(monkeypatch, "--check", str(file)) == 0
    document = json.loads(file.read_bytes())
    document["paths"]["/api/goods/"]["get"]["summary"] += " "
    file.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    assert (run(monkeypatch, "--check", str(file)), capsys.readouterr().err) == (1, said)
    # Nothing but the one change made the difference.
    document["paths"]["/api/goods/"]["get"]["summary"] = document["paths"]["/api/goods/"]["get"]["summary"][:-1]
    file.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    assert run(monkeypatch, "--check", str(file)) == 0
