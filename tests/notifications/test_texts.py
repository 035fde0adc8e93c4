"""Every step of the machine has words for each side that did not make it."""

import string

import pytest

from app.notifications.models import TITLE_LENGTH
from app.notifications.texts import NOTIFICATION_TEXTS, NotificationText, notified_sides
from statemachine import ORDER, Role, TradeMode

STEPS = sorted(
    {(ORDER.creation.name, Role(ORDER.creation.by))}
    | {(rule.event.value, Role(role)) for rule in ORDER.rules for role in rule.by}
)


@pytest.mark.parametrize(("event", "role"), STEPS)
def test_every_step_has_words_for_whom_it_concerns(event: str, role: Role) -> None:
    for side in notified_sides(role):
        wording = NOTIFICATION_TEXTS[event, role, side]
        assert 0 < len(wording.title) <= TITLE_LENGTH
        for text in (wording.text_for(TradeMode.COURIER), wording.text_for(TradeMode.FACE_TO_FACE)):
            fields = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            assert "good" in fields
            assert fields <= {"good", "amount", "proceeds", "note"}


def test_there_are_words_for_nothing_else() -> None:
    assert {(event, role, side) for event, role in STEPS for side in notified_sides(role)} == set(NOTIFICATION_TEXTS)


def test_who_acts_is_not_told() -> None:
    both = (Role.BUYER, Role.SELLER)
    assert {role: notified_sides(role) for role in Role} == {
        Role.BUYER: (Role.SELLER,),
        Role.SELLER: (Role.BUYER,),
        Role.SYSTEM: both,
        Role.GATEWAY: both,
        Role.STAFF: both,
    }


def test_nobody_is_asked_to_ship_what_is_handed_over() -> None:
    wording = NOTIFICATION_TEXTS["pay", Role.GATEWAY, Role.SELLER]
    assert wording.text_for(TradeMode.COURIER) == "买家已付款:「{good}」,请尽快发货"
    assert wording.text_for(TradeMode.FACE_TO_FACE) == "买家已付款:「{good}」,请与买家约定当面交货"
    assert NotificationText("标题", "正文").text_for(TradeMode.FACE_TO_FACE) == "正文"


def test_the_other_side_of_a_dispute_is_told_that_it_is_heard() -> None:
    told = {
        (NOTIFICATION_TEXTS["dispute", Role.BUYER, Role.SELLER].text, "买家申请平台客服介入"),
        (NOTIFICATION_TEXTS["dispute", Role.SELLER, Role.BUYER].text, "卖家申请平台客服介入"),
        (NOTIFICATION_TEXTS["contest_return", Role.SELLER, Role.BUYER].text, "卖家对退货有异议"),
    }
    assert {text for text, _ in told} == {f"{what}:「{{good}}」,可提交陈述和凭证" for _, what in told}
