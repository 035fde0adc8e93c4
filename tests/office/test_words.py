"""The page of the word lists, and what the API tells of them: ours, the operator's, what is wrong, where words are."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.moderation.text import check_text
from app.moderation.verdicts import Category
from app.staff_roles import StaffRole
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_user, whole_database
from tests.office.steps import Person, log_in, words
from tests.office.waiting import waiting_case

OWN = """
# Of the operator
reason: 本平台不售
[reject]
鲸鱼牙
[review near=4 unless=玩具]
海豹 海狮 + 皮 油
[permitted]
鲸鱼牙膏
"""


@pytest.fixture
def person(app: Flask, clean: None) -> Person:
    return log_in(app, StaffRole.REVIEWER)


def asked(app: Flask, path: str) -> Any:
    """What the API answers to somebody of staff."""
    return app.test_client().get(f"/api/staff/{path}", headers=auth_headers(app, make_user(app, staff=True))).get_json()


def test_every_file_is_listed_with_its_words_by_policy(app: Flask, person: Person) -> None:
    found = asked(app, "word_lists/")["data"]
    lists = {each["file"]: each for each in found["lists"]}
    assert (found["folder"], found["folder_problem"]) == (None, None)
    with app.app_context():
        assert found["rules_version"] == check_text("台灯").rules_version
    assert {each["category"] for each in lists.values()} == {
        each.value for each in Category if each.value not in ("price", "duplicate", "personal_data")
    }
    assert all(each["built_in"] and each["problem"] is None for each in lists.values())
    assert sum(sum(each["words"].values()) for each in lists.values()) >= 1500
    page = person.browser.get("/admin/words/")
    assert found["rules_version"] in page.text
    said = words(page)
    for each in lists.values():
        assert f"{each['file']} {each['category_text']} 自带" in said
    assert "运营方没有自己的词表" in said


@pytest.mark.parametrize(
    ("query", "word", "total"),
    [
        ("contains=弹簧刀&category=weapons", "弹簧刀", None),
        ("contains=弹♥簧 刀", "弹簧刀", None),  # dressed up
        ("contains=彈簧刀", "弹簧刀", None),  # traditional
        ("contains=腔支", "枪支", None),  # by its sound
        ("contains=出售弹簧刀一把", "弹簧刀", None),  # what a hit was cut from
        ("contains=完全没有这样的词", None, 0),
        ("contains=弹簧刀&category=gambling", None, 0),
        ("contains=弹簧刀&policy=permitted", None, None),
    ],
)
def test_words_are_found_however_they_are_written(
    app: Flask, person: Person, query: str, word: str | None, total: int | None
) -> None:
    answer = asked(app, f"words/?{query}&size=100")
    found = answer["data"]
    listed = [each for item in found["items"] for each in (*item["words"], *item["beside"])]
    assert (word in listed) is (word is not None)
    if total is not None:
        assert (found["total"], answer["msg"]) == (total, Answer.NO_WORDS.msg)
    page = person.browser.get(f"/admin/words/?{query}")
    assert f"共 {found['total']} 条" in words(page)


def test_filters_of_words(app: Flask, person: Person) -> None:
    for name, value in (("category", "tobacco"), ("policy", "review"), ("file", "tobacco.txt")):
        items = asked(app, f"words/?{name}={value}&size=100")["data"]["items"]
        assert items
        assert {each[name] for each in items} == {value}
    client, headers = app.test_client(), auth_headers(app, make_user(app, staff=True))
    for query in ("category=toys", "policy=never", f"contains={'长' * 61}"):
        refused = client.get(f"/api/staff/words/?{query}", headers=headers)
        assert_envelope(refused, Answer.MALFORMED)
    page = person.browser.get("/admin/words/?category=toys&contains=弹簧刀")
    assert "筛选条件 category" in words(page)
    assert "弹簧刀" in words(page).partition("查词")[2]


def test_an_operators_folder_and_what_is_wrong_in_it(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "animals-own.txt").write_text(OWN, encoding="utf-8")
    app = make_app(SENSITIVE_WORDS_PATH=str(tmp_path))
    person = log_in(app, StaffRole.REVIEWER)
    own = asked(app, "words/?file=animals-own.txt")["data"]["items"]
    assert [(each["words"], each["beside"], each["policy"], each["code"], each["conditions"]) for each in own] == [
        (["鲸鱼牙"], [], "reject", "animals.word", []),
        (["海豹", "海狮"], ["皮", "油"], "review", "animals.pair", ["两边相距至多 4 字", "旁边有这些词时不算:玩具"]),
        (["鲸鱼牙膏"], [], "permitted", "animals.word", []),
    ]
    assert {(each["reason"], each["built_in"]) for each in own} == {("本平台不售", False)}
    said = words(person.browser.get("/admin/words/"))
    assert "animals-own.txt 野生动物及其制品 运营方 1 1 0 1 可用" in said
    version = asked(app, "word_lists/")["data"]["rules_version"]

    # A new file that cannot be used: it is told where and why, and the rules that could be used last hold.
    (tmp_path / "weapons-own.txt").write_text("鱼叉", encoding="utf-8")
    (tmp_path / "toys.txt").write_text("reason: x\n[reject]\n积木", encoding="utf-8")
    (tmp_path / "fraud-gone.txt").symlink_to(tmp_path / "nowhere")
    found = asked(app, "word_lists/")["data"]
    problems = {each["file"]: (each["category"], each["problem"]) for each in found["lists"] if each["problem"]}
    assert problems["weapons-own.txt"] == ("weapons", "weapons-own.txt:1: words before the first section")
    assert problems["toys.txt"][0] is None
    assert problems["toys.txt"][1].startswith("toys.txt: the file's name is none of the categories")
    assert problems["fraud-gone.txt"] == ("fraud", "No such file or directory")
    assert found["rules_version"] == version
    page = person.browser.get("/admin/words/")
    assert "weapons-own.txt:1: words before the first section" in page.text
    assert "最近一次能用的词表仍然生效" in words(page)
    assert str(tmp_path / "weapons-own.txt") not in page.text  # named once, as the folder


@pytest.mark.parametrize(("name", "problem"), [("nowhere", "文件夹不存在"), ("", "文件夹里没有 .txt 文件")])
def test_a_folder_without_lists_is_told(make_app: MakeApp, tmp_path: Path, name: str, problem: str) -> None:
    app = make_app(SENSITIVE_WORDS_PATH=str(tmp_path / name))
    person = log_in(app, StaffRole.REVIEWER)
    page = person.browser.get("/admin/words/")
    assert (page.status_code, problem in words(page)) == (200, True)
    assert "现在没有规则生效" in words(page)


def test_a_text_is_tried(app: Flask, person: Person) -> None:
    before = whole_database(app)
    answer = person.post(
        "/admin/words/", "/admin/words/", text="出弹簧刀一把 加微信 abc_8888", kind="title", category="5"
    )
    assert (answer.status_code, "结果: 拒绝" in words(answer)) == (200, True)
    harmless = person.post("/admin/words/", "/admin/words/", text="九成新台灯", kind="title", price="35")
    assert "没有命中" in words(harmless)
    assert 'value="35.00"' in harmless.text
    wrong = person.post("/admin/words/", "/admin/words/", text="台灯", price="很多")
    assert (wrong.status_code, "价格:" in words(wrong)) == (422, True)
    assert person.post("/admin/words/", "/admin/words/", text="").status_code == 422
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} <= {"staff_sessions"}


def test_hits_lead_to_their_lists(app: Flask, person: Person, client: FlaskClient) -> None:
    """From a text that was tried, and from a good in review; hits of patterns are in no list."""
    answer = person.post("/admin/words/", "/admin/words/", text="出弹簧刀一把 加微信 abc_8888")
    link = f"/admin/words/?category=weapons&amp;contains={quote('弹簧刀')}#s-words"
    assert link in answer.text
    assert "弹簧刀" in words(person.browser.get(link.replace("&amp;", "&"))).partition("查词")[2]
    assert not re.search(r'<a href="[^"]*category=contact[^"]*"><code>contact\.wechat', answer.text)
    _, case_id = waiting_case(app)
    page = person.browser.get(f"/admin/review/{case_id}/")
    assert "contact.wechat" in page.text
    assert "/admin/words/?" not in page.text
