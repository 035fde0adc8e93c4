"""One order's path through the machine, drawn: what is marked, what is not, and which paths are refused."""

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from statemachine import ORDER, OrderPhase, UnknownTerm
from statemachine.export import mermaid, svg
from statemachine.export.edges import Line, told
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RETURNED,
    RETURN_SENT,
    SHIPPED,
)
from statemachine.path import PastStep, trace
from statemachine.texts import LANGS, Lang
from tests.browser import open_tab

SVG = "{http://www.w3.org/2000/svg}"
STRONG, FAINT = "#a61e4d", "#ced4da"


def path_of(*steps: tuple[str, str, OrderPhase]) -> list[PastStep[OrderPhase]]:
    """Steps as (event, role, target); each begins where the one before ended."""
    stands: OrderPhase | None = None
    made = []
    for event, role, target in steps:
        made.append(PastStep(event, role, stands, target))
        stands = target
    return made


BUY = ("buy", "buyer", AWAITING_PAYMENT)
LONG = path_of(
    BUY,
    ("pay", "gateway", PAID),
    ("ship", "seller", SHIPPED),
    ("extend_receipt", "buyer", SHIPPED),
    ("receive", "system", RECEIVED),
    ("request_refund", "buyer", REFUND_REQUESTED_RECEIVED),
    ("reject_refund", "seller", RECEIVED),
    ("request_refund", "buyer", REFUND_REQUESTED_RECEIVED),
    ("send_back", "buyer", RETURN_SENT),
    ("contest_return", "seller", RETURN_SENT),
    ("resolve_for_buyer", "staff", REFUNDED_RETURNED),
)


def drawn(made: list[PastStep[OrderPhase]], lang: Lang = "zh") -> ET.Element:
    return ET.fromstring(svg.render(ORDER, lang, path=made))  # noqa: S314 - our own text


def words(element: ET.Element) -> str:
    return "".join(element.itertext())


def test_a_path_is_followed_step_by_step() -> None:
    found = trace(ORDER, LONG)
    assert found.present == REFUNDED_RETURNED
    assert found.visited == {AWAITING_PAYMENT, PAID, SHIPPED, RECEIVED, REFUND_REQUESTED_RECEIVED} | {
        RETURN_SENT,
        REFUNDED_RETURNED,
    }
    assert found.ordinals[RECEIVED, "request_refund", "buyer", REFUND_REQUESTED_RECEIVED] == (6, 8)
    assert found.ordinals[None, "buy", "buyer", AWAITING_PAYMENT] == (1,)
    assert sorted(i for steps in found.ordinals.values() for i in steps) == list(range(1, 12))


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        ([], ValueError, "a path of the order begins with buy"),
        (LONG[1:], ValueError, "step 1 (pay) does not go on where the order does not exist yet"),
        (
            [*LONG[:2], *LONG[3:4]],
            ValueError,
            "step 3 (extend_receipt) does not go on where the order stands at (2, 6, open)",
        ),
        (LONG[:1] * 2, ValueError, "step 2 (buy) does not go on where the order stands at (1, 6, open)"),
        (
            [*LONG[:1], PastStep("fly", "buyer", AWAITING_PAYMENT, PAID)],
            UnknownTerm,
            "order has no fly by buyer from (1, 6, open) to (2, 6, open)",
        ),
        (
            [*LONG[:1], PastStep("pay", "buyer", AWAITING_PAYMENT, PAID)],
            UnknownTerm,
            "order has no pay by buyer from (1, 6, open) to (2, 6, open)",
        ),
        (
            [*LONG[:1], PastStep("pay", "gateway", AWAITING_PAYMENT, SHIPPED)],
            UnknownTerm,
            "order has no pay by gateway from (1, 6, open) to (2, 7, open)",
        ),
        (
            [PastStep("buy", "seller", None, AWAITING_PAYMENT)],
            UnknownTerm,
            "order has no buy by seller from nowhere to (1, 6, open)",
        ),
    ],
)
def test_a_path_that_the_machine_does_not_have_is_refused(
    made: list[PastStep[OrderPhase]], error: type[ValueError], message: str
) -> None:
    for render in (svg.render, mermaid.render):
        with pytest.raises(error) as raised:
            render(ORDER, "zh", path=made)
        assert str(raised.value) == message


def test_taken_arrows_are_numbered_strong_and_on_top() -> None:
    root = drawn(LONG)
    numbered = [words(text) for text in root.iter(f"{SVG}text") if text.get("font-weight") == "bold"]
    assert sorted(numbered) == sorted(
        [
            "① 下单 · 买家",
            "② 付款 · 支付网关",
            "③ 发货 · 卖家",
            "④ 延长收货时间 · 买家",
            "⑤ 确认收货 · 买家、系统 10 天",
            "⑥⑧ 申请退款 · 买家",
            "⑦ 拒绝退款 · 卖家",
            "⑨ 寄回退货 · 买家",
            "⑩ 对退货有异议 · 卖家",
            "⑪ 裁决退款给买家 · 平台客服",
        ]
    )
    lines = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    strokes = [path.get("stroke") for path in lines]
    # Eight arrows between states, two to the state itself, the one from the last state to its marker.
    assert strokes.count(STRONG) == 11
    assert set(strokes) == {STRONG, FAINT}
    assert {path.get("stroke-width") for path in lines if path.get("stroke") == STRONG} == {"2"}
    between = strokes[:20]
    assert between == sorted(between, key=lambda stroke: stroke == STRONG)


def test_of_several_doers_only_the_one_who_did_it_is_shown() -> None:
    received = next(text for text in drawn(LONG).iter(f"{SVG}text") if words(text).startswith("⑤"))
    styles = {words(span): (span.get("fill"), span.get("font-weight")) for span in received.iter(f"{SVG}tspan")}
    assert styles["买家"] == ("#868e96", "normal")
    assert styles["系统 10 天"] == ("#212529", None)


def test_states_are_marked_as_passed_present_or_aside() -> None:
    looks: dict[str, tuple[str | None, str | None, str | None]] = {}
    for group in drawn(LONG).iter(f"{SVG}g"):
        title, shape = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert title.text is not None
        assert shape is not None
        looks[title.text] = (shape.get("fill"), shape.get("stroke"), shape.get("stroke-width"))
    passed = {"待买家付款", "已付款", "已发货", "已收货,售后期内", "收货后申请退款", "退货途中"}
    assert looks.pop("退货退款") == (STRONG, STRONG, "3")
    assert {name for name, look in looks.items() if look == ("#fff0f6", STRONG, "2")} == passed
    assert {look for name, look in looks.items() if name not in passed} == {("#fff", FAINT, None)}
    assert len(looks) == 14


@pytest.mark.parametrize(("lang", "now"), [("zh", "现在"), ("en", "now")])
def test_the_present_state_says_so_in_words_too(lang: Lang, now: str) -> None:
    for length in range(1, len(LONG) + 1):
        root = drawn(LONG[:length], lang)
        here = [group for group in root.iter(f"{SVG}g") if now in [words(text) for text in group.iter(f"{SVG}text")]]
        assert len(here) == 1
        title = here[0].find(f"{SVG}title")
        assert title is not None
        assert title.text == ORDER.state(LONG[length - 1].target).meaning.to(lang)


def test_those_who_cannot_see_it_are_told() -> None:
    text = (
        "1 下单 · 买家; 2 付款 · 支付网关; 3 发货 · 卖家; 4 延长收货时间 · 买家; 5 确认收货 · 系统; "
        "6 申请退款 · 买家; 7 拒绝退款 · 卖家; 8 申请退款 · 买家; 9 寄回退货 · 买家; 10 对退货有异议 · 卖家; "
        "11 裁决退款给买家 · 平台客服; 现在: 退货退款"
    )
    root = drawn(LONG)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert (title.text, description.text) == ("订单", text)
    source = mermaid.render(ORDER, "zh", path=LONG)
    assert f"    accTitle: 订单\n    accDescr: {text}\n" in source
    assert told(ORDER, "en", LONG[:2]) == "1 buy · buyer; 2 pay · gateway; now: paid, money in escrow"


def test_mermaid_numbers_the_steps_and_styles_the_states() -> None:
    source = mermaid.render(ORDER, "zh", path=LONG)
    assert "    [*] --> s_1_6 : ① 下单 · 买家\n" in source
    assert "    s_3_8 --> s_4_8 : ⑥⑧ 申请退款 · 买家\n" in source
    assert '<br/>↻ ④ 延长收货时间 · 买家" as s_2_7\n' in source
    styled = dict(re.findall(r"^    class (\S+) (present|passed|aside)$", source, re.MULTILINE))
    assert {name: members.split(",") for members, name in styled.items()} == {
        "present": ["s_5_10_closed"],
        "passed": ["s_1_6", "s_2_6", "s_2_7", "s_3_8", "s_4_8", "s_4_9"],
        "aside": [
            *("s_1_6_closed", "s_3_8_closed", "s_4_6", "s_4_7"),
            *("s_5_6_closed", "s_5_7_closed", "s_5_8_closed", "s_3_9_closed"),
        ],
    }
    begun = mermaid.render(ORDER, "zh", path=LONG[:1])
    assert re.findall(r"classDef (\w+) ", begun) == ["closed", "present", "aside"]


def test_without_a_path_nothing_is_marked() -> None:
    for lang in LANGS:
        for plain in (svg.render(ORDER, lang), mermaid.render(ORDER, lang)):
            assert not re.search(r"[①-⑳]|<desc>|accDescr|present|#a61e4d|stroke-width", plain)


def test_more_steps_than_there_are_circled_numbers() -> None:
    events = [("request_refund", "buyer", REFUND_REQUESTED_UNSHIPPED), ("withdraw_refund", "buyer", PAID)]
    made = path_of(BUY, ("pay", "gateway", PAID), *events * 10)
    assert "⑲(21) 申请退款<br/>· 买家\n" in mermaid.render(ORDER, "zh", path=made)
    assert Line("x", ()).marks == ""


@pytest.mark.parametrize("lang", LANGS)
def test_in_a_browser_no_text_leaves_its_box_and_none_covers_another(lang: Lang, tmp_path: Path) -> None:
    file = tmp_path / "path.svg"
    file.write_text(svg.render(ORDER, lang, path=LONG), encoding="utf-8")
    with open_tab() as tab:
        tab.page.goto(file.as_uri())
        texts = tab.page.evaluate(
            "[...document.querySelectorAll('text')].map(t => {const b = t.getBoundingClientRect();"
            " return [b.left, b.top, b.right, b.bottom, t.textContent]})"
        )
        assert tab.complaints == []
    assert len(texts) > 50
    covered = [
        (one[4], two[4])
        for one, two in combinations(texts, 2)
        # Lines of one text may share a pixel row.
        if one[0] < two[2] and two[0] < one[2] and one[1] + 2 < two[3] - 2 and two[1] + 2 < one[3] - 2
    ]
    assert covered == []
