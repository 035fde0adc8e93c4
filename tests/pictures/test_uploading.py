"""Pictures that are uploaded one at a time: what is done with their ids, by whom, and what is left of them."""

import io
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods import unused_pictures
from app.goods.models import Picture
from app.moderation.service import check_good
from app.orders.models import EvidencePicture
from app.pictures.service import Collected
from config import Settings
from statemachine.order import RECEIVED, REFUND_REQUESTED_SHIPPED, RETURN_SENT
from tests.accounts.steps import all_rows
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import (
    FORM,
    assert_malformed,
    at_once,
    form_with,
    multipart,
    picture_rows,
    release,
    stored_files,
    without_links,
)
from tests.orders.table import ACTIONS
from tests.pictures.test_collecting import DAY, NOTHING, collect, make_old
from tests.pictures.test_quota import usage
from tests.settings import settings_with

URL = "/api/pictures/"
RELEASE = "/api/good_release/"


@pytest.fixture
def owner(app: Flask) -> Made:
    return make_user(app)


def send(app: Flask, user: Made, *files: tuple[str, bytes], **headers: str) -> TestResponse:
    """Upload `files` as parts of these names."""
    parts: dict[str, list[FileStorage]] = {}
    for name, data in files:
        parts.setdefault(name, []).append(FileStorage(io.BytesIO(data), "a.jpg"))
    boundary, body = encode_multipart(parts)
    content_type = f'multipart/form-data; boundary="{boundary}"'
    return app.test_client().post(
        URL, data=body, content_type=content_type, headers={**auth_headers(app, user), **headers}
    )


def upload(app: Flask, user: Made, width: int = 60) -> Any:
    """Upload a picture `width` pixels wide; the answer's data."""
    return assert_envelope(send(app, user, ("picture", picture_bytes(width, 40))), Answer.PICTURE_UPLOADED)


def post(app: Flask, user: Made, url: str, body: dict[str, Any], method: str = "POST") -> TestResponse:
    return app.test_client().open(url, method=method, json=body, headers=auth_headers(app, user))


def widths(pictures: Sequence[dict[str, Any]]) -> list[int]:
    return [each["width"] for each in pictures]


def age_unused(app: Flask, age: timedelta = 2 * DAY) -> None:
    """Let all that was uploaded by itself be so old."""
    with app.app_context(), db.engine.begin() as connection:
        then = utcnow() - age
        of_no_good = update(Picture).where(Picture.good_id.is_(None))
        connection.execute(of_no_good.values(created_at=then))
        connection.execute(of_no_good.where(Picture.used_at.is_not(None)).values(used_at=then))


def test_a_picture_of_ones_own(app: Flask, client: FlaskClient, owner: Made, settings: Settings) -> None:
    uploaded = upload(app, owner)
    picture_id = uploaded["id"]
    assert without_links([uploaded]) == [
        {"id": picture_id, "url": f"/api/pic/{picture_id}/", "width": 60, "height": 40}
    ]
    [row] = picture_rows(app)
    assert (row["good_id"], row["position"], row["uploader_id"], row["counted"]) == (None, None, owner.id, True)
    assert usage(app) == {owner.id: row["size"]}
    assert row["sha256"] in stored_files(settings)
    for user, found in ((owner, 200), (make_user(app, staff=True), 200), (make_user(app), 404)):
        shown = client.get(uploaded["url"], headers=auth_headers(app, user))
        assert shown.status_code == found
        assert found == 404 or shown.headers["Cache-Control"] == "private, no-store"
    assert_envelope(client.get(uploaded["url"]), Answer.NO_SUCH_PICTURE)
    shown = client.get(uploaded["links"]["whole"])
    assert (shown.status_code, Image.open(io.BytesIO(shown.data)).size) == (200, (60, 40))


def test_a_repeated_upload_is_one(app: Flask, owner: Made) -> None:
    """What mini-programs do after a lost answer."""
    answers = [send(app, owner, ("picture", picture_bytes()), **{"Idempotency-Key": "upload-1"}) for _ in range(2)]
    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert len(picture_rows(app)) == 1


def test_one_file_and_what_it_may_be_called(app: Flask, owner: Made, settings: Settings) -> None:
    before, files = whole_database(app), stored_files(settings)
    one = picture_bytes()
    for sent, reasons in (
        ((), {"picture": ["须以 multipart/form-data 上传一个文件"]}),
        ((("picture", one), ("picture", one)), {"picture": ["一次上传一个文件"]}),
        ((("picture", one), ("file", one)), {"picture": ["一次上传一个文件"]}),
        ((("photo", one),), {"photo": ["不认识的文件字段,是否想写 picture?"]}),
        ((("picture", b"text"),), {"picture": ["图片不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片"]}),
        ((("file", one[:300]),), {"picture": ["图片已损坏或不完整,请重新保存或截图后再发送"]}),
    ):
        assert_malformed(send(app, owner, *sent), Answer.MALFORMED, **reasons)
    assert_malformed(
        app.test_client().post(URL, json={}, headers=auth_headers(app, owner)),
        Answer.MALFORMED,
        picture=["须以 multipart/form-data 上传一个文件"],
    )
    assert (whole_database(app), stored_files(settings)) == (before, files)
    for name in ("picture", "file", "pictures"):
        assert_envelope(send(app, owner, (name, one)), Answer.PICTURE_UPLOADED)
    assert len(picture_rows(app)) == 3


def test_quota_budget_and_rate_hold_for_it(app: Flask, owner: Made, settings: Settings, make_app: Any) -> None:
    upload(app, owner)
    used = usage(app)[owner.id]
    before, files = whole_database(app), stored_files(settings)
    with settings_with(app, picture_quota=2 * used - 1):
        refused = send(app, owner, ("picture", picture_bytes(60, 40)))
        assert assert_envelope(refused, Answer.PICTURE_QUOTA_FULL) == {"used": used, "limit": 2 * used - 1}
    with settings_with(app, picture_budget_pixels=1):
        assert_envelope(send(app, owner, ("picture", picture_bytes())), Answer.TOO_MANY_PICTURES)
    assert (whole_database(app), stored_files(settings)) == (before, files)
    strict = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_PICTURES="2 per hour")
    statuses = [send(strict, owner, ("picture", picture_bytes())).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_a_good_is_released_with_them_in_the_order_given(app: Flask, client: FlaskClient, owner: Made) -> None:
    ids = [upload(app, owner, width)["id"] for width in (50, 60, 70)]
    stored = usage(app)
    wanted = [ids[2], ids[0], ids[1]]
    good = assert_envelope(post(app, owner, RELEASE, FORM | {"picture_ids": wanted}), Answer.GOOD_RELEASED)
    assert ([each["id"] for each in good["pictures"]], widths(good["pictures"])) == (wanted, [70, 50, 60])
    assert usage(app) == stored  # they were counted before
    # To moderation they are pictures of the good.
    with app.app_context():
        check_good(good_id=good["id"], revision=1)
    own = assert_envelope(
        client.get(f"/api/good_edit/{good['id']}/", headers=auth_headers(app, owner)), Answer.GOOD_FOUND
    )
    assert {f"picture:{each}" for each in ids} <= {each["subject"] for each in own["verification"]["verdicts"]}


def test_ids_come_before_files(app: Flask, client: FlaskClient, owner: Made) -> None:
    ids = [upload(app, owner, width)["id"] for width in (50, 60)]
    good = release(app, client, owner, picture_bytes(70, 40), picture_ids=f"{ids[1]},{ids[0]}")
    assert widths(good["pictures"]) == [60, 50, 70]
    # Some programs put a list into the form as they write it, with its brackets.
    for text in ("[{1}, {0}]", " [{1},{0}] ", "{1} , {0}", "{1}，{0}"):
        ids = [upload(app, owner, width)["id"] for width in (50, 60)]
        good = release(app, client, owner, picture_ids=text.format(*ids))
        assert widths(good["pictures"]) == [60, 50]
    assert release(app, client, owner, picture_ids="[]")["pictures"] == []
    # Some forms repeat the field instead.
    ids = [str(upload(app, owner, width)["id"]) for width in (50, 60)]
    response = client.post(RELEASE, data=FORM | {"picture_ids": ids}, headers=auth_headers(app, owner))
    assert widths(assert_envelope(response, Answer.GOOD_RELEASED)["pictures"]) == [50, 60]
    assert usage(app) == {owner.id: sum(row["size"] for row in picture_rows(app))}


def test_an_edit_puts_old_and_new_in_any_order(app: Flask, client: FlaskClient, owner: Made) -> None:
    good = release(app, client, owner, picture_bytes(50, 40), picture_bytes(60, 40), picture_bytes(70, 40))
    first, second, third = (each["id"] for each in good["pictures"])
    url = f"/api/good_edit/{good['id']}/"
    new = upload(app, owner, 80)["id"]
    body = {"picture_ids": [new, third, first]}
    edited = assert_envelope(post(app, owner, url, body, "PATCH"), Answer.GOOD_EDITED)
    assert widths(edited["pictures"]) == [80, 70, 50]
    detached = {row["id"]: row["detached_at"] is not None for row in picture_rows(app)}
    assert detached == {first: False, second: True, third: False, new: False}
    # Kept ones stand before these, files behind.
    newer = upload(app, owner, 90)["id"]
    form = multipart(picture_bytes(100, 40), keep_pictures=str(first), picture_ids=f"{newer},{new}")
    edited = assert_envelope(client.patch(url, headers=auth_headers(app, owner), **form), Answer.GOOD_EDITED)
    assert widths(edited["pictures"]) == [50, 90, 80, 100]
    edited = assert_envelope(post(app, owner, url, FORM | {"picture_ids": []}, "PUT"), Answer.GOOD_EDITED)
    assert edited["pictures"] == []
    assert usage(app) == {owner.id: sum(row["size"] for row in picture_rows(app))}


GONE, USED = "图片 {} 不存在或已过期,请重新上传", "图片 {} 已被使用,请重新上传"


def test_what_cannot_be_used_is_named_and_nothing_changes(
    app: Flask, client: FlaskClient, owner: Made, settings: Settings
) -> None:
    buyer = owner
    order = lead_order(app, make_good(app, make_user(app)), buyer, phase=RECEIVED)
    proof = upload(app, owner)["id"]
    url = ACTIONS["request"].url.format(id=order.id)
    asked = post(app, buyer, url, ACTIONS["request"].body | {"picture_ids": [proof]})
    assert_envelope(asked, Answer.REFUND_REQUESTED)
    good = release(app, client, owner, picture_bytes(60, 40), picture_bytes(70, 40))
    of_form, taken_off = (each["id"] for each in good["pictures"])
    edit = f"/api/good_edit/{good['id']}/"
    assert_envelope(post(app, owner, edit, {"picture_ids": [of_form]}, "PATCH"), Answer.GOOD_EDITED)
    used = upload(app, owner)["id"]
    assert_envelope(post(app, owner, RELEASE, FORM | {"picture_ids": [used]}), Answer.GOOD_RELEASED)
    fresh = [upload(app, owner, 50 + number)["id"] for number in range(10)]
    theirs = upload(app, make_user(app))["id"]
    dispute = ACTIONS["dispute"].url.format(id=order.id)
    before, files = whole_database(app), stored_files(settings)
    for ids, reasons in (
        ([fresh[0], theirs, 10**9], [GONE.format(theirs), GONE.format(10**9)]),
        ([proof, fresh[0], used], [USED.format(proof), USED.format(used)]),
        ([taken_off], [USED.format(taken_off)]),
        ([fresh[0], fresh[1], fresh[0]], ["图片重复"]),
        (fresh, ["至多 9 张图片"]),
    ):
        for response, answer in (
            (post(app, owner, RELEASE, FORM | {"picture_ids": ids}), Answer.RELEASE_MALFORMED),
            (post(app, owner, edit, {"picture_ids": ids}, "PATCH"), Answer.EDIT_MALFORMED),
            (post(app, buyer, dispute, ACTIONS["dispute"].body | {"picture_ids": ids}), Answer.MALFORMED),
        ):
            assert_malformed(response, answer, picture_ids=reasons)
    # Of the good itself only an edit may name one, and not twice.
    assert_malformed(
        post(app, owner, RELEASE, FORM | {"picture_ids": [of_form]}),
        Answer.RELEASE_MALFORMED,
        picture_ids=[USED.format(of_form)],
    )
    body = {"keep_pictures": [of_form], "picture_ids": [of_form]}
    assert_malformed(post(app, owner, edit, body, "PATCH"), Answer.EDIT_MALFORMED, picture_ids=["图片重复"])
    body = {"keep_pictures": [of_form], "picture_ids": fresh[:9]}
    assert_malformed(post(app, owner, edit, body, "PATCH"), Answer.EDIT_MALFORMED, pictures=["至多 9 张图片"])
    form = form_with(picture_bytes(), picture_ids=",".join(map(str, fresh[:9])))
    response = client.post(RELEASE, headers=auth_headers(app, owner), **form)
    assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=["至多 9 张图片"])
    for value, reasons in (
        (["x"], {"picture_ids.0": ["须为整数"]}),
        ("[[1]]", {"picture_ids.0": ["须为整数"]}),
        ("[1", {"picture_ids.0": ["须为整数"]}),
        ("", {"picture_ids.0": ["须为整数"]}),
        (7, {"picture_ids": ["须为列表"]}),
        (None, {"picture_ids": ["须为列表"]}),
    ):
        response = post(app, owner, RELEASE, FORM | {"picture_ids": value})
        assert assert_envelope(response, Answer.RELEASE_MALFORMED) == {"errors": reasons}
    assert (whole_database(app), stored_files(settings)) == (before, files)


@pytest.mark.parametrize(
    ("action", "role", "phase"),
    [("request", 0, RECEIVED), ("dispute", 0, REFUND_REQUESTED_SHIPPED), ("contest", 1, RETURN_SENT)],
)
def test_evidence(app: Flask, client: FlaskClient, owner: Made, action: str, role: int, phase: Any) -> None:
    people = (owner, make_user(app))
    order = lead_order(app, make_good(app, people[1]), owner, phase=phase)
    sender = people[role]
    ids = [upload(app, sender, width)["id"] for width in (50, 60)]
    stored = usage(app)
    url = ACTIONS[action].url.format(id=order.id)
    stranger = post(app, make_user(app), url, ACTIONS[action].body | {"picture_ids": ids})
    assert_envelope(stranger, Answer.NO_SUCH_ORDER)
    form = multipart(picture_bytes(70, 40), picture_ids=f"{ids[1]},{ids[0]}", **ACTIONS[action].body)
    sent = client.post(url, headers=auth_headers(app, sender), **form)
    assert_envelope(sent, ACTIONS[action].answer)
    detail = assert_envelope(
        client.get(f"/api/order/{order.id}/", headers=auth_headers(app, people[1 - role])), Answer.ORDER_FOUND
    )
    shown = detail["refund_requests" if action == "request" else "disputes"][-1]["pictures"]
    assert ([each["uploader_id"] for each in shown], widths(shown)) == ([sender.id] * 3, [60, 50, 70])
    evidence = all_rows(app, EvidencePicture)
    assert usage(app)[sender.id] == stored[sender.id] + evidence[-1]["size"]
    # Its uploader sees it under its first URL for a while; the other side never did.
    assert client.get(f"/api/pic/{ids[0]}/", headers=auth_headers(app, sender)).status_code == 200
    assert client.get(f"/api/pic/{ids[0]}/", headers=auth_headers(app, people[1 - role])).status_code == 404


def test_a_statement_takes_ids(app: Flask, owner: Made) -> None:
    order = lead_order(app, make_good(app, make_user(app)), owner, phase=REFUND_REQUESTED_SHIPPED)
    called = post(app, owner, ACTIONS["dispute"].url.format(id=order.id), ACTIONS["dispute"].body)
    assert_envelope(called, Answer.DISPUTE_RAISED)
    body = {"text": "这是快递的照片", "picture_ids": [upload(app, owner)["id"]]}
    detail = assert_envelope(post(app, owner, f"/api/dispute_statement/{order.id}/", body), Answer.STATEMENT_ADDED)
    assert widths(detail["disputes"][0]["pictures"]) == [60]


def test_what_nobody_uses_is_collected_after_a_day(
    app: Flask, client: FlaskClient, owner: Made, settings: Settings
) -> None:
    order = lead_order(app, make_good(app, make_user(app)), owner, phase=RECEIVED)
    unused, of_good, proof = (upload(app, owner, width)["id"] for width in (50, 60, 70))
    assert_envelope(post(app, owner, RELEASE, FORM | {"picture_ids": [of_good]}), Answer.GOOD_RELEASED)
    url = ACTIONS["request"].url.format(id=order.id)
    body = ACTIONS["request"].body | {"picture_ids": [proof]}
    assert_envelope(post(app, owner, url, body), Answer.REFUND_REQUESTED)
    sizes = {row["id"]: row["size"] for row in picture_rows(app)}
    make_old(app, settings)
    age_unused(app, DAY - timedelta(minutes=1))
    assert collect(app) == NOTHING
    assert usage(app) == {owner.id: sum(sizes.values())}
    age_unused(app)
    # Of the evidence only the row goes that said what it was uploaded as.
    assert collect(app) == Collected(pictures=2, files=1)
    assert usage(app) == {owner.id: sizes[of_good] + sizes[proof]}
    assert [row["id"] for row in picture_rows(app)] == [of_good]
    assert len(stored_files(settings)) == 2
    for gone in (unused, proof):
        assert_malformed(
            post(app, owner, RELEASE, FORM | {"picture_ids": [gone]}),
            Answer.RELEASE_MALFORMED,
            picture_ids=[GONE.format(gone)],
        )
    assert collect(app) == NOTHING


def test_a_picture_that_is_being_used_is_not_collected(app: Flask, owner: Made, settings: Settings) -> None:
    """Whoever locks its row first has it: the sweep passes over it, and a release that comes later is refused."""
    picture_id = upload(app, owner)["id"]
    age_unused(app)
    make_old(app, settings)
    with app.app_context(), transaction() as session:
        unused_pictures.claim_pictures(session, [picture_id], user_id=owner.id, malformed=Answer.MALFORMED)
        sweep = threading.Thread(target=collect, args=(app,))
        sweep.start()
        sweep.join(60)
        assert not sweep.is_alive()
        session.rollback()
    assert len(picture_rows(app)) == len(stored_files(settings)) == 1
    refused: list[TestResponse] = []
    with app.app_context(), transaction() as session:
        session.delete(session.scalars(select(Picture).with_for_update()).one())
        session.flush()
        late = threading.Thread(
            target=lambda: refused.append(post(app, owner, RELEASE, FORM | {"picture_ids": [picture_id]}))
        )
        late.start()
    late.join(60)
    assert_malformed(refused[0], Answer.RELEASE_MALFORMED, picture_ids=[GONE.format(picture_id)])


def test_one_picture_is_used_once_however_many_want_it(app: Flask, owner: Made) -> None:
    order = lead_order(app, make_good(app, make_user(app)), owner, phase=RECEIVED)
    refund = ACTIONS["request"].url.format(id=order.id)
    for _ in range(3):
        ids = [upload(app, owner, width)["id"] for width in (60, 70)]
        release_wanted = partial(post, app, owner, RELEASE, FORM | {"picture_ids": ids})
        refund_wanted = partial(post, app, owner, refund, ACTIONS["request"].body | {"picture_ids": ids[::-1]})
        statuses = [each.status_code for each in at_once(release_wanted, refund_wanted, release_wanted)]
        assert sorted(statuses) == [200, 422, 422]
        if statuses[1] == 200:
            withdrawn = post(app, owner, f"/api/buyer_withdraw_drawback/{order.id}/", {})
            assert_envelope(withdrawn, Answer.REFUND_WITHDRAWN)
    evidence = sum(row["size"] for row in all_rows(app, EvidencePicture))
    assert usage(app) == {owner.id: sum(row["size"] for row in picture_rows(app) if row["counted"]) + evidence}


def test_an_account_knows_them(app: Flask, client: FlaskClient) -> None:
    user = make_user(app, "lily")
    picture_id = upload(app, user)["id"]
    exported = client.get("/api/user/export/", headers=auth_headers(app, user))
    told = assert_envelope(exported, Answer.ACCOUNT_EXPORTED)["unused_pictures"]
    assert [each["url"] for each in told] == [f"/api/pic/{picture_id}/"]
    ran = app.test_cli_runner().invoke(args=["user", "delete", "lily", "--reason", "来函注销"])
    assert ran.exit_code == 0, ran.output
    assert (picture_rows(app), usage(app)) == ([], {user.id: 0})
