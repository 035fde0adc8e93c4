"""Goods that wait for a person, with what a machine found in them."""

from typing import Any

from flask import Flask
from sqlalchemy import insert, select

from app.clock import utcnow
from app.db.transactions import transaction
from app.goods.models import CaseKind, Good, ReviewCase, Verdict
from app.goods.revisions import known_revision
from app.moderation.decisions import open_case
from statemachine import GoodStatus
from tests.factories import Made, make_good, make_user
from tests.moderation.steps import add_picture

TITLE = "九成新相机 加微信看图"
DESCRIPTION = "自用两年,成色好。\n联系 wx: abc_8888 <b>面交</b>"


def hit(**values: Any) -> dict[str, Any]:
    """A hit as it is stored."""
    return {
        "category": "contact",
        "code": "contact.wechat",
        "reason": "疑似含有微信号",
        "policy": "review",
        "confidence": 0.9,
        "start": None,
        "end": None,
        "box": None,
        **values,
    }


def waiting_case(
    app: Flask, *, owner: Made | None = None, kind: CaseKind = CaseKind.RELEASE, pictures: int = 1, title: str = TITLE
) -> tuple[Made, int]:
    """A good in review and its case: words in title and description are marked, the first picture has a box."""
    status = GoodStatus.IN_REVIEW if kind is CaseKind.RELEASE else GoodStatus.PUBLISHED
    good = make_good(app, owner or make_user(app), status=status, title=title, description=DESCRIPTION)
    shown = [add_picture(app, good, position=position, width=64 + position) for position in range(pictures)]
    begin = DESCRIPTION.index("wx")
    found = {
        ("text", "title"): [hit(start=6, end=9)] if title == TITLE else [],
        ("text", "description"): [hit(start=begin, end=begin + 12, policy="reject")],
    }
    for place, picture_id in enumerate(shown):
        box = {"left": 8, "top": 6, "width": 30, "height": 12}
        found["picture", f"picture:{picture_id}"] = [] if place else [hit(box=box, code="picture.text")]
    with app.app_context(), transaction() as session:
        known_revision(session, session.get_one(Good, good.id), 1)
        for (kind_of_verdict, subject), hits in found.items():
            state = "review" if hits else "passed"
            values = {"good_id": good.id, "revision": 1, "kind": kind_of_verdict, "subject": subject}
            reasons = [each["reason"] for each in hits]
            session.execute(
                insert(Verdict).values(
                    **values, passed=not hits, state=state, reasons=reasons, hits=hits, rules_version="test-1"
                )
            )
        assert open_case(session, good_id=good.id, revision=1, kind=kind, now=utcnow())
        case_id = session.scalars(select(ReviewCase.id).where(ReviewCase.good_id == good.id)).one()
    return good, case_id
