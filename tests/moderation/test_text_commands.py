"""`flask moderation check` and `recheck`, and duplicates of texts among goods."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.clock import utcnow
from app.db.database import db
from app.goods.models import ReviewCase, Verdict
from app.goods.service import edit_good
from app.moderation.cli import moderation_commands
from app.moderation.service import check_good, conclude_good
from app.moderation.text.duplicates import NEAR, fingerprint_of
from statemachine import GoodStatus
from tests.conftest import MakeApp
from tests.factories import Made, make_good, make_user
from tests.moderation.steps import change, status_of

ROOT = Path(__file__).parents[2]

OWN_WORDS = (
    "去年冬天在杭州湖滨的专柜买的羊毛大衣,只穿过两次,领口和袖口没有起球,扣子齐全,附赠防尘袋和备用扣,"
    "因为换了工作不再需要正装所以转让,身高一米六五左右的朋友穿着合适。"
)

OTHER_WORDS = (
    "自用三年的电饭煲,功能正常,内胆有轻微划痕,说明书和量杯都在,搬家所以低价转让,同城自提优先,可以当面试机,"
    "发货会用原装纸箱包好。"
)


def run(app: Flask, *arguments: str, stdin: str | None = None) -> Result:
    """A command, as somebody types it."""
    return app.test_cli_runner().invoke(moderation_commands, arguments, input=stdin)


def test_check_answers_a_line_for_each_text_in_their_order(make_app: MakeApp) -> None:
    """It asks no database."""
    app = make_app(DATABASE_URL="postgresql+psycopg://127.0.0.1:1/nothing", REDIS_URL="redis://127.0.0.1:1/0")
    texts = ["九成新 手机", "", "出 时时彩 一套", "加\u200b微信", "👜时时彩", "某种 活体"]
    result = run(app, "check", "--json", "-", stdin="\n".join(texts))
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["text"] for line in lines] == texts
    assert [line["decision"] for line in lines] == ["pass", "pass", "reject", "reject", "reject", "review"]
    assert [
        [(hit["category"], hit["code"], hit["start"], hit["end"], hit["reason"]) for hit in line["hits"]]
        for line in lines
    ] == [
        [],
        [],
        [("gambling", "gambling.word", 2, 5, "涉嫌赌博:时时彩")],
        [("contact", "contact.word", 0, 4, "涉嫌引流:加微信")],
        [("gambling", "gambling.word", 1, 4, "涉嫌赌博:时时彩")],
        [("animals", "animals.word", 3, 5, "涉嫌买卖保护动物及制品:活体")],
    ]


def test_check_reads_files_of_any_bytes(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("时时彩\r\n".encode() + b"\xff\xfe\n" + "手机".encode())
    result = run(app, "check", str(path))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["reject: 时时彩 [涉嫌赌博:时时彩]", "pass: ��", "pass: 手机"]
    assert run(app, "check", str(tmp_path / "nowhere")).exit_code == 2


def test_check_gives_one_line_for_a_line_of_any_length(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    long = "好" * 400_000 + "时时彩"
    path.write_text(f"{long}\n\x00时时彩\n\u2028\x85手机\n" + "1" * 1_000_000, "utf-8")
    lines = [json.loads(line) for line in run(app, "check", "--json", str(path)).stdout.split("\n")[:-1]]
    assert [line["text"] for line in lines] == [long, "\x00时时彩", "\u2028\x85手机", "1" * 1_000_000]
    assert [line["decision"] for line in lines] == ["reject", "reject", "pass", "pass"]
    assert [[(hit["start"], hit["end"]) for hit in line["hits"]] for line in lines] == [
        [(400_000, 400_003)],
        [(1, 4)],
        [],
        [],
    ]


def test_check_works_where_nothing_says_where_services_are() -> None:
    """As on a fresh checkout: neither settings nor database nor Redis."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "moderation", "check", "-", "--json"]
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    found = subprocess.run(
        command, input="出 时时彩\n".encode(), capture_output=True, env=bare, cwd=ROOT, timeout=120, check=False
    )
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.decode() == (
        '{"text": "出 时时彩", "decision": "reject", "hits": [{"category": "gambling", "code": "gambling.word", '
        '"start": 2, "end": 5, "reason": "涉嫌赌博:时时彩"}]}\n'
    )


def cases(app: Flask) -> list[tuple[int, str]]:
    """Good and kind of each open case."""
    with app.app_context(), db.engine.connect() as connection:
        statement = select(ReviewCase.good_id, ReviewCase.kind).order_by(ReviewCase.good_id)
        return [tuple(row) for row in connection.execute(statement)]


def hits_of(app: Flask, good: Made, subject: str = "description") -> list[dict[str, Any]]:
    """The hits of the good's verdict."""
    with app.app_context(), db.engine.connect() as connection:
        statement = select(Verdict.hits).where(Verdict.good_id == good.id, Verdict.subject == subject)
        return list(connection.execute(statement).scalar_one())


def published(app: Flask, owner: Made, **columns: Any) -> Made:
    """A public good."""
    return make_good(app, owner, **columns)


@pytest.mark.usefixtures("clean")
def test_recheck_asks_a_person_about_public_goods_that_do_not_pass_now(app: Flask) -> None:
    owner = make_user(app)
    fine = published(app, owner, title="九成新 手机")
    bad = published(app, owner, title="时时彩 一套")
    contact = published(app, owner, description="加微信详谈")
    phone = published(app, owner, title="时时彩 手机版", category=1)
    old = published(app, owner, title="时时彩 从前")
    change(app, old, published_at=utcnow().replace(year=2020))
    hidden = make_good(app, owner, status=GoodStatus.REJECTED, title="时时彩")
    for good in (bad, contact, fine):
        change(app, good, category=4)
    change(app, phone, category=1)
    assert hidden.id
    since = ("recheck", "--since", "2021-01-01")
    assert run(app, *since, "--category", "drugs").exit_code == 2
    dry = run(app, *since, "--dry-run")
    assert (dry.exit_code, re.findall(r"\d+", dry.stdout)) == (0, ["4", "0", "3", "0"])
    assert cases(app) == []
    assert run(app, *since, "--category", "contact").exit_code == 0
    assert cases(app) == [(contact.id, "recheck")]
    assert run(app, *since, "--category", "手机", "--category", "gambling").exit_code == 0
    assert cases(app) == [(contact.id, "recheck"), (phone.id, "recheck")]
    assert run(app, *since).exit_code == 0
    assert cases(app) == [(bad.id, "recheck"), (contact.id, "recheck"), (phone.id, "recheck")]
    assert [hit["code"] for hit in hits_of(app, bad, "title")] == ["gambling.word"]
    assert status_of(app, bad) == GoodStatus.PUBLISHED
    assert run(app, *since).exit_code == 0
    assert len(cases(app)) == 3


def test_texts_that_are_alike_have_fingerprints_that_are() -> None:
    one, other = fingerprint_of(OWN_WORDS), fingerprint_of(OWN_WORDS.replace("杭州湖滨", "上海徐汇"))
    third = fingerprint_of(
        "自用三年的电饭煲,功能正常,内胆有轻微划痕,说明书和量杯都在,搬家所以低价转让,同城自提优先,可以当面试机。"
    )
    assert one is not None
    assert other is not None
    assert third is not None
    assert fingerprint_of(" ".join(OWN_WORDS)) == one
    assert 0 < ((one.near ^ other.near) & (2**64 - 1)).bit_count() <= NEAR
    assert ((one.near ^ third.near) & (2**64 - 1)).bit_count() > NEAR
    assert fingerprint_of("九成新,自用,包邮") is None


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("description", "same_owner", "found"),
    [
        (OWN_WORDS, False, ["duplicate.text_of_other_seller"]),
        (OWN_WORDS.replace("杭州湖滨", "上海徐汇"), False, ["duplicate.text_like_other_seller"]),
        (OWN_WORDS, True, ["duplicate.own"]),
        (
            "全新未拆的空气炸锅,年会奖品用不上,包装完好,支持当面验货,可以小刀,喜欢的朋友直接拍下,四十八小时内发货。",
            False,
            [],
        ),
    ],
)
def test_texts_taken_from_other_goods_are_reviewed(
    app: Flask, *, description: str, same_owner: bool, found: list[str]
) -> None:
    owner = make_user(app)
    first = make_good(app, owner, status=GoodStatus.IN_REVIEW, description=OWN_WORDS)
    second = make_good(
        app, owner if same_owner else make_user(app), status=GoodStatus.IN_REVIEW, description=description
    )
    with app.app_context():
        for good in (first, second):
            check_good(good_id=good.id, revision=1)
            conclude_good(good_id=good.id, revision=1)
    assert status_of(app, first) == GoodStatus.PUBLISHED
    assert [hit["code"] for hit in hits_of(app, second)] == found
    asked = found and not same_owner
    assert status_of(app, second) == (GoodStatus.IN_REVIEW if asked else GoodStatus.PUBLISHED)
    assert cases(app) == ([(second.id, "release")] if asked else [])


@pytest.mark.usefixtures("clean")
def test_a_change_of_the_price_hides_no_words(app: Flask) -> None:
    owner = make_user(app)
    first = make_good(app, owner, status=GoodStatus.IN_REVIEW, description=OWN_WORDS)
    second = make_good(app, make_user(app), status=GoodStatus.IN_REVIEW, description=OWN_WORDS)
    with app.app_context():
        check_good(good_id=first.id, revision=1)
        conclude_good(good_id=first.id, revision=1)
        edit_good(owner_id=owner.id, good_id=first.id, changes={"price": 200000})
        check_good(good_id=second.id, revision=1)
    assert [hit["code"] for hit in hits_of(app, second)] == ["duplicate.text_of_other_seller"]


@pytest.mark.usefixtures("clean")
def test_a_fourth_good_with_the_same_words_is_reviewed(app: Flask) -> None:
    owner = make_user(app)
    goods = [make_good(app, owner, status=GoodStatus.IN_REVIEW, description=OWN_WORDS) for _ in range(4)]
    with app.app_context():
        for good in goods:
            check_good(good_id=good.id, revision=1)
            conclude_good(good_id=good.id, revision=1)
    assert [[hit["code"] for hit in hits_of(app, good)] for good in goods] == [
        [],
        ["duplicate.own"],
        ["duplicate.own"],
        ["duplicate.own_many"],
    ]
    assert [status_of(app, good) for good in goods] == [GoodStatus.PUBLISHED] * 3 + [GoodStatus.IN_REVIEW]
