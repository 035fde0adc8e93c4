"""GET /api/verify/good/<good_id>: the state for everybody, the verdicts for owner and staff."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.moderation.checks import picture_rules_version
from app.moderation.service import check_good, conclude_good
from app.moderation.text import rules_version
from statemachine import GoodStatus
from tests.factories import assert_envelope, auth_headers, make_good, make_user
from tests.moderation.steps import add_picture, change


@pytest.mark.parametrize(
    ("status", "text", "state"),
    [
        (1, "待审核", "pending"),
        (2, "已发布", "passed"),
        (3, "交易中", "passed"),
        (4, "交易完成", "passed"),
        (5, "审核失败", "failed"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_everybody_sees_the_state(
    app: Flask, client: FlaskClient, status: int, text: str, state: str, slash: str
) -> None:
    good = make_good(app, make_user(app), status=GoodStatus(status))
    expected = {"good_id": good.id, "good_status": status, "good_status_text": text, "state": state}
    url = f"/api/verify/good/{good.id}{slash}"
    assert assert_envelope(client.get(url), Answer.VERDICT_FOUND) == expected
    stranger = auth_headers(app, make_user(app))
    assert assert_envelope(client.get(url, headers=stranger), Answer.VERDICT_FOUND) == expected


def test_owner_and_staff_see_the_verdicts_of_the_present_revision(app: Flask, client: FlaskClient) -> None:
    owner, staff = make_user(app), make_user(app, staff=True)
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW, title="加微信")
    picture = add_picture(app, good)
    with app.app_context():
        check_good(good_id=good.id, revision=1)
        change(app, good, revision=2, title="加 微 信 13800138000")
        check_good(good_id=good.id, revision=2)
        conclude_good(good_id=good.id, revision=2)
        text_rules, picture_rules = rules_version(), picture_rules_version()
    passed = {"passed": True, "reasons": [], "state": "passed", "hits": [], "by_staff": False}
    hit = {
        "category": "contact",
        "policy": "reject",
        "confidence": 0.95,
        "box": None,
    }
    hits = [
        hit | {"code": "contact.word", "start": 0, "end": 17, "reason": "涉嫌引流:加微信"},
        hit | {"code": "contact.phone", "start": 6, "end": 17, "reason": "涉嫌引流:手机号码"},
    ]
    reasons = ["涉嫌引流:加微信", "涉嫌引流:手机号码"]
    for user in (owner, staff):
        answer = client.get(f"/api/verify/good/{good.id}", headers=auth_headers(app, user))
        assert assert_envelope(answer, Answer.VERDICT_FOUND) == {
            "good_id": good.id,
            "good_status": 5,
            "good_status_text": "审核失败",
            "state": "failed",
            "revision": 2,
            "verdicts": [
                {
                    "kind": "text",
                    "subject": "title",
                    "passed": False,
                    "state": "rejected",
                    "reasons": reasons,
                    "hits": hits,
                    "rules_version": text_rules,
                    "by_staff": False,
                },
                {"kind": "text", "subject": "description", "rules_version": text_rules, **passed},
                {
                    "kind": "picture",
                    "subject": f"picture:{picture}",
                    "rules_version": picture_rules,
                    **passed,
                },
            ],
        }


def test_the_owner_of_a_good_that_was_not_checked_yet(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner, status=GoodStatus.IN_REVIEW)
    data = assert_envelope(
        client.get(f"/api/verify/good/{good.id}", headers=auth_headers(app, owner)), Answer.VERDICT_FOUND
    )
    assert (data["revision"], data["verdicts"]) == (1, [])


@pytest.mark.parametrize("good_id", ["0", "-1", "999999", "9223372036854775808", "abc", "1.5", "%00"])
def test_a_good_that_does_not_exist(client: FlaskClient, good_id: str) -> None:
    assert assert_envelope(client.get(f"/api/verify/good/{good_id}"), Answer.NO_SUCH_GOOD) is None


def test_a_deleted_good_exists_for_nobody(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    good = make_good(app, owner, deleted=True)
    for headers in ({}, auth_headers(app, owner)):
        assert assert_envelope(client.get(f"/api/verify/good/{good.id}", headers=headers), Answer.NO_SUCH_GOOD) is None


def test_a_token_that_is_sent_has_to_be_right(app: Flask, client: FlaskClient) -> None:
    good = make_good(app, make_user(app))
    answer = client.get(f"/api/verify/good/{good.id}", headers={"Authorization": "Bearer forged"})
    assert assert_envelope(answer, Answer.TOKEN_INVALID) is None
