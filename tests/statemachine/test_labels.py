"""The texts of both machines, and those that are made of several."""

from datetime import timedelta
from typing import Any

from statemachine import GOOD, ORDER, GoodEvent, GoodPhase, Lang, OrderEvent, Spec, TimerEffect, labels
from statemachine.order import CANCELLED, EXPIRE_AFTER, PAID, REFUNDED_RETURNED


def test_buttons_roles_and_pots() -> None:
    assert [ORDER.events[event].zh for event in (OrderEvent.SHIP, OrderEvent.RECEIVE, OrderEvent.REQUEST_REFUND)] == [
        "发货",
        "确认收货",
        "申请退款",
    ]
    assert [GOOD.events[event].zh for event in (GoodEvent.APPROVE, GoodEvent.HOLD)] == ["审核通过", "被拍下"]
    assert ORDER.events[OrderEvent.REQUEST_REFUND].to("en") == "request a refund"
    assert [ORDER.roles[role].zh for role in ("buyer", "seller", "system", "gateway", "staff")] == [
        "买家",
        "卖家",
        "系统",
        "支付网关",
        "平台客服",
    ]
    assert GOOD.roles["owner"].zh == "卖家"
    assert (ORDER.creation.text.zh, GOOD.creation.text.zh) == ("下单", "发布商品")
    assert (ORDER.pots["escrow"].zh, ORDER.pots["escrow"].to("en")) == ("担保账户", "escrow")


def test_states_have_two_lines_and_a_meaning() -> None:
    def lines(spec: Spec[Any, Any, Any], phase: object, lang: Lang) -> list[str]:
        return [line.to(lang) for line in spec.state(phase).lines]

    assert lines(ORDER, PAID, "zh") == ["2 买家已付款", "6 卖家未发货"]
    assert lines(ORDER, REFUNDED_RETURNED, "en") == ["5 refunded", "10 return received"]
    assert ORDER.state(CANCELLED).meaning.zh == "未付款,已取消"
    assert lines(GOOD, GoodPhase(4, deleted=True), "zh") == ["4 交易完成", "已删除"]
    assert GOOD.state(GoodPhase(3)).meaning.en == "in trade"


def test_deadlines_and_durations() -> None:
    assert (EXPIRE_AFTER.text.to("zh"), EXPIRE_AFTER.text.to("en")) == ("买家付款截止", "payment due")
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


def test_timers_and_reminders() -> None:
    assert [labels.timer_effect_text(effect) for effect in TimerEffect] == ["重新计时", "暂停", "继续", "延长", "不变"]
    assert labels.timer_effect_text(TimerEffect.PAUSE, "en") == "pauses"
    reminder = EXPIRE_AFTER.reminder
    assert labels.reminder_text(ORDER, reminder) == "提前 10 分钟提醒买家"
    assert labels.reminder_text(ORDER, reminder, "en") == "the buyer is told 10 min before"


def test_what_happens_to_the_good() -> None:
    assert labels.good_event_text(ORDER, GoodEvent.HOLD) == "被拍下"
    assert labels.good_event_text(ORDER, GoodEvent.HOLD, "en") == "hold for an order"
    assert labels.good_event_text(ORDER, None) == labels.good_event_text(GOOD, None) == ""


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
