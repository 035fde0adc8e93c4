"""Texts by code."""

from datetime import timedelta

import pytest

from statemachine import GOOD, ORDER, GoodPhase, OrderPhase, TimerEffect, UnknownTerm, labels
from statemachine.order import EXPIRE_AFTER


def test_buttons_roles_and_pots() -> None:
    assert [labels.event_text(event) for event in ("ship", "receive", "request_refund", "approve", "hold")] == [
        "发货",
        "确认收货",
        "申请退款",
        "审核通过",
        "被拍下",
    ]
    assert labels.event_text("request_refund", "en") == "request a refund"
    assert [labels.role_text(role) for role in ("buyer", "seller", "owner", "system", "gateway", "staff")] == [
        "买家",
        "卖家",
        "卖家",
        "系统",
        "支付网关",
        "平台客服",
    ]
    assert (labels.creation_text("buy"), labels.creation_text("offer")) == ("下单", "发布商品")
    assert (labels.pot_text("escrow"), labels.pot_text("escrow", "en")) == ("担保账户", "escrow")


def test_states_have_two_lines_and_a_meaning() -> None:
    assert labels.state_lines(OrderPhase(2, 6)) == ("2 买家已付款", "6 卖家未发货")
    assert labels.state_lines(OrderPhase(5, 10, closed=True), "en") == ("5 refunded", "10 return received")
    assert labels.state_text(OrderPhase(1, 6, closed=True)) == "未付款,已取消"
    assert labels.state_lines(GoodPhase(4, deleted=True)) == ("4 交易完成", "已删除")
    assert labels.state_text(GoodPhase(3), "en") == "in trade"


def test_deadlines_and_durations() -> None:
    assert (labels.deadline_text(EXPIRE_AFTER), labels.deadline_text(EXPIRE_AFTER, "en")) == (
        "买家付款截止",
        "payment due",
    )
    texts = {
        timedelta(minutes=30): ("30 分钟", "30 min"),
        timedelta(hours=1): ("1 小时", "1 h"),
        timedelta(hours=48): ("48 小时", "48 h"),
        timedelta(days=3): ("3 天", "3 d"),
        timedelta(days=7): ("7 天", "7 d"),
        timedelta(seconds=90): ("90 秒", "90 s"),
    }
    for duration, (zh, en) in texts.items():
        assert (labels.duration_text(duration), labels.duration_text(duration, "en")) == (zh, en)


def test_clocks_and_reminders() -> None:
    assert [labels.timer_effect_text(clock) for clock in TimerEffect] == ["重新计时", "暂停", "继续", "延长"]
    assert labels.timer_effect_text(TimerEffect.PAUSE, "en") == "pauses"
    reminder = EXPIRE_AFTER.reminder
    assert labels.reminder_text(reminder) == "提前 10 分钟提醒买家"
    assert labels.reminder_text(reminder, "en") == "the buyer is told 10 min before"


def test_unknown_codes_are_errors() -> None:
    for ask in (labels.event_text, labels.role_text, labels.pot_text, labels.creation_text):
        with pytest.raises(UnknownTerm, match=r"^no .* 'fly'$"):
            ask("fly")
    with pytest.raises(UnknownTerm):
        labels.state_text(OrderPhase(1, 7))


def test_every_text_exists_in_both_languages_and_no_two_events_read_alike() -> None:
    texts = [
        text
        for spec in (ORDER, GOOD)
        for text in (
            *spec.events.values(),
            *spec.roles.values(),
            *(state.meaning for state in spec.states),
            *(line for state in spec.states for line in state.lines),
            *(text for rule in spec.rules for guard in rule.guards for text in (guard.condition, guard.refusal)),
            *(rule.deadline.text for rule in spec.rules if rule.deadline),
        )
    ]
    for text in texts:
        assert text.zh.strip() == text.zh != ""
        assert text.en.isascii()
        assert text.en.strip() == text.en != ""
    for spec in (ORDER, GOOD):
        for lang in ("zh", "en"):
            assert len({text.to(lang) for text in spec.events.values()}) == len(spec.events)
