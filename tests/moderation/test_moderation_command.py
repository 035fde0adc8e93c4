"""`flask moderation check-picture`: what is said of files that somebody names."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import vision
from app.db.database import db
from app.db.transactions import rows
from app.goods.models import ReviewCase, Verdict
from app.moderation.checks import judge_subject
from app.moderation.cli import moderation_commands
from app.moderation.models import PictureFingerprint
from tests.conftest import MakeApp
from tests.factories import make_good, make_user
from tests.moderation.steps import add_picture, let_pass

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "tests" / "data" / "moderation_pictures" / "pictures"


def test_a_line_of_json_for_each_file_in_their_order(make_app: MakeApp, tmp_path: Path) -> None:
    """It asks no database."""
    nowhere = {"DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/nothing", "REDIS_URL": "redis://127.0.0.1:1/0"}
    broken = tmp_path / "坏.jpg"
    broken.write_bytes(b"no picture")
    files = [str(PICTURES / "qr-text.webp"), str(broken), str(PICTURES / "product-2.webp")]
    result = make_app(**nowhere).test_cli_runner().invoke(moderation_commands, ["check-picture", "--json", *files])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["file"] for line in lines] == files
    assert [line["decision"] for line in lines] == ["reject", "reject", "pass"]
    assert {hit["category"] for hit in lines[0]["hits"]} == {"contact"}
    assert all(set(hit["box"]) == {"left", "top", "width", "height"} for hit in lines[0]["hits"])
    assert lines[1]["hits"] == [
        {
            "category": "quality",
            "code": "quality.undecodable",
            "policy": "reject",
            "start": None,
            "end": None,
            "box": None,
            "confidence": 1.0,
            "reason": "图片无法解码",
        }
    ]
    assert lines[2]["hits"] == []


def test_lines_for_people(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "is_installed", lambda: False)
    files = [str(PICTURES / "one-pixel.png"), str(PICTURES / "product-2.webp")]
    result = app.test_cli_runner().invoke(moderation_commands, ["check-picture", *files])
    assert result.stdout.splitlines() == [
        f"{files[0]}: reject 图片太小(1×1),请上传清晰的实物图",
        f"{files[1]}: review 图片需人工查看",
    ]


def test_a_file_that_is_larger_than_uploads_may_be_is_not_read_to_its_end(make_app: MakeApp, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(10**12)
    app = make_app(PICTURE_BYTES_LIMIT="1000000")
    result = app.test_cli_runner().invoke(moderation_commands, ["check-picture", str(large)])
    assert result.stdout == f"{large}: reject 图片超过 0.953674 MB,请压缩或截图后再发送\n"


def test_what_cannot_be_read_has_a_line_in_its_place(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    files = [str(PICTURES / "one-pixel.png"), "/nowhere.png", str(tmp_path), str(tmp_path / "empty.jpg")]
    result = app.test_cli_runner().invoke(moderation_commands, ["check-picture", *files])
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f"{files[0]}: reject 图片太小(1×1),请上传清晰的实物图",
        f"{files[1]}: reject 文件无法读取:No such file or directory",
        f"{files[2]}: reject 文件无法读取:Is a directory",
        f"{files[3]}: reject 图片无法解码",
    ]
    assert app.test_cli_runner().invoke(moderation_commands, ["check-picture"]).exit_code == 2


def test_it_needs_no_setting_and_writes_nothing(tmp_path: Path) -> None:
    """As in a fresh clone, on a machine with nothing else on it."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = bare | {"INSTANCE_PATH": str(tmp_path / "instance")}
    picture = str(PICTURES / "one-pixel.png")
    flask = [sys.executable, "-m", "flask", "--app", "wsgi", "moderation"]
    options: dict[str, Any] = {"capture_output": True, "text": True, "env": environ, "cwd": ROOT, "timeout": 120}
    result = subprocess.run([*flask, "check-picture", picture], **options, check=False)
    assert (result.returncode, result.stdout) == (0, f"{picture}: reject 图片太小(1×1),请上传清晰的实物图\n")
    assert not (tmp_path / "instance").exists()
    result = subprocess.run([*flask, "recheck", "--since", "2026-11-29"], **options, check=False)
    assert (result.returncode != 0, "SALTFISH_ENV: is not set" in result.stderr) == (True, True)


def test_it_says_that_nobody_looks_where_the_extra_is_missing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, so that the lines of --json stay JSON."""
    monkeypatch.setattr("app.moderation.cli.is_installed", lambda: False)
    monkeypatch.setattr(vision, "is_installed", lambda: False)
    picture = str(PICTURES / "photo-6.webp")
    result = app.test_cli_runner().invoke(moderation_commands, ["check-picture", picture])
    assert (result.exit_code, result.stdout) == (0, f"{picture}: review 图片需人工查看\n")
    assert result.stderr == (
        "The extra vision is not installed: text, codes and nudity are not looked for, "
        "PICTURES_UNSEEN=review decides.\n"
    )


@pytest.mark.usefixtures("clean")
def test_recheck_looks_at_pictures_that_the_present_rules_have_not_judged(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the next one knows that they passed, and what a person let pass is left alone."""
    owner = make_user(app)
    goods = [make_good(app, owner) for _ in range(3)]
    bad, fine, told = (
        add_picture(app, good, data=(PICTURES / name).read_bytes())
        for good, name in zip(goods, ("wechat-v.webp", "photo-6.webp", "wechat-v.webp"), strict=True)
    )
    for good, picture in zip(goods, (bad, fine, told), strict=True):
        let_pass(app, good, picture)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Verdict).values(rules_version="of-old"))
        connection.execute(update(Verdict).where(Verdict.good_id == goods[2].id).values(by_staff=True))
    words = ["recheck", "--since", "2021-01-01"]

    def recheck(*more: str) -> list[str]:
        result = app.test_cli_runner().invoke(moderation_commands, [*words, *more])
        assert result.exit_code == 0
        return re.findall(r"left out|\d+", result.stdout)

    with monkeypatch.context() as patch:
        patch.setattr("app.moderation.recheck.is_installed", lambda: False)
        assert recheck() == ["3", "left out", "0", "0"]
    assert recheck("--dry-run") == ["3", "2", "1", "0"]
    with app.app_context():
        assert rows(select(PictureFingerprint.content_hash)) == []
    assert recheck("--category", "weapons") == ["3", "2", "0", "0"]
    assert recheck() == ["3", "1", "1", "1"]
    assert recheck() == ["3", "0", "0", "0"]
    with app.app_context():
        found = rows(select(ReviewCase.good_id, ReviewCase.kind))
        states = rows(select(Verdict.good_id, Verdict.state).where(Verdict.kind == "picture").order_by(Verdict.good_id))
        fingerprints = rows(select(PictureFingerprint.content_hash))
    assert [tuple(row) for row in found] == [(goods[0].id, "recheck")]
    assert [row.state for row in states] == ["rejected", "passed", "passed"]
    assert len(fingerprints) == 2  # so that a ban finds goods from before there were any


@pytest.mark.usefixtures("clean")
def test_recheck_leaves_alone_what_a_person_passes_meanwhile(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its question which pictures there are and its own verdict minutes may pass."""
    good = make_good(app, make_user(app))
    let_pass(app, good, add_picture(app, good, data=(PICTURES / "photo-6.webp").read_bytes()))
    of_picture = update(Verdict).where(Verdict.kind == "picture")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(of_picture.values(rules_version="of-old"))

    def pass_and_judge(*args: Any, **keywords: Any) -> Any:
        with db.engine.begin() as connection:
            connection.execute(of_picture.values(by_staff=True, rules_version="of-a-person"))
        return judge_subject(*args, **keywords)

    monkeypatch.setattr("app.moderation.recheck.judge_subject", pass_and_judge)
    result = app.test_cli_runner().invoke(moderation_commands, ["recheck", "--since", "2021-01-01"])
    assert (result.exit_code, re.findall(r"\d+", result.stdout)) == (0, ["1", "1", "0", "0"])
    with app.app_context():
        [verdict] = rows(select(Verdict.by_staff, Verdict.rules_version).where(Verdict.kind == "picture"))
    assert tuple(verdict) == (True, "of-a-person")


@pytest.mark.usefixtures("clean")
def test_recheck_asks_nobody_about_files_that_it_cannot_see(app: Flask) -> None:
    """It may run where the folder of pictures is not: then each good would wait for a person."""
    good = make_good(app, make_user(app))
    let_pass(app, good, add_picture(app, good, stored=False))
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Verdict).where(Verdict.kind == "picture").values(rules_version="of-old"))
    result = app.test_cli_runner().invoke(moderation_commands, ["recheck", "--since", "2021-01-01"])
    assert (result.exit_code, re.findall(r"\d+", result.stdout)) == (0, ["1", "0", "0", "0"])
    assert "1 picture was left out" in result.stderr
    with app.app_context():
        assert rows(select(ReviewCase.id)) == []
        [verdict] = rows(select(Verdict.state, Verdict.rules_version).where(Verdict.kind == "picture"))
    assert tuple(verdict) == ("passed", "of-old")
