"""`flask search …`."""

import re
from pathlib import Path

import pytest
from flask import Flask

from app.search import service
from tests.factories import make_good, make_user
from tests.search.steps import announce

pytestmark = pytest.mark.usefixtures("clean", "no_index")


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["search", *arguments])
    return result.exit_code, result.output


def test_rebuild_and_status(app: Flask) -> None:
    good = make_good(app, make_user(app), title="台灯")
    announce(app, good.id)
    code, output = run(app, "status")
    assert code == 0
    assert "none yet" in output
    assert re.search(r"changes waiting\s*│\s*1\b", output)
    code, output = run(app, "rebuild")
    assert code == 0
    assert "1 goods in the index" in output
    assert "indexing goods" in output
    code, output = run(app, "status")
    assert code == 0
    assert re.search(r"goods\s*│\s*1\b", output)
    assert re.search(r"folder\s*│\s*index-v[0-9]+-", output)


def test_a_second_rebuild_is_refused(app: Flask) -> None:
    with app.app_context(), service.search_index()._locked("rebuild.lock", timeout=0):
        code, output = run(app, "rebuild")
    assert code == 1
    assert "another rebuild is running" in output
    assert run(app, "rebuild")[0] == 0


@pytest.mark.usefixtures("leaking_whoosh")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_status_of_a_damaged_index(app: Flask) -> None:
    make_good(app, make_user(app), title="台灯")
    run(app, "rebuild")
    with app.app_context():
        for file in service.search_index()._current().glob("*.toc"):
            file.write_bytes(b"")
    code, output = run(app, "status")
    assert code == 1
    assert "the index is damaged" in output
    assert "flask search rebuild" in output


def test_the_words_of_the_trade_are_counted_and_checked(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "brands.txt").write_text("示例牌 shilipai\n", encoding="utf-8")
    code, output = run(app, "words", str(tmp_path), "--query", "便宜的羽绒服 500以内")
    assert code == 0
    assert re.search(r"brands\.txt\s*│\s*4\d\d\b", output)
    assert "thing: 羽绒服 | _羽绒 _绒服 | 羽绒衣" in output
    assert "price_max: 50000 (500以内)" in output
    assert "dropped: 便宜的" in output
    (tmp_path / "brands.txt").write_text("> x\n", encoding="utf-8")
    code, output = run(app, "words", str(tmp_path))
    assert (code, output) == (1, f"Error: {tmp_path}/brands.txt:1: a line begins with a name\n")
