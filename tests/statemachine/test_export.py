"""Pictures and SQL: complete, deterministic, and readable where that can be measured."""

import json as stdlib_json
import re
import subprocess
import sys
from itertools import combinations
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine import GOOD, ORDER, OrderEvent, OrderPhase, Spec
from statemachine.export import dot, json, mermaid, sql_check, svg, table
from statemachine.export.edges import creation, edges, label
from statemachine.export.layout import Arrow, Box, place
from statemachine.order import PAID, SETTLED
from statemachine.texts import LANGS, Lang
from tests.statemachine.table import EFFECTS, TABLE

SPECS: list[Spec[Any, Any, Any]] = [ORDER, GOOD]
Rectangle = tuple[float, float, float, float]
LOOPS: dict[tuple[str, OrderPhase], list[str]] = {}
"""The steps of the table that change no state: who does each."""
for (_event, _role, _source), _cell in TABLE.items():
    if _cell.target == _source:
        LOOPS.setdefault((_event, _source), []).append(_role)

every_picture = pytest.mark.parametrize(
    ("spec", "lang"), [pytest.param(spec, lang, id=f"{spec.name}-{lang}") for spec in SPECS for lang in LANGS]
)


def overlap(one: Rectangle, two: Rectangle) -> bool:
    (x1, y1, w1, h1), (x2, y2, w2, h2) = one, two
    return x1 < x2 + w2 and x2 < x1 + w1 and y1 < y2 + h2 and y2 < y1 + h1


def area(rectangle: ET.Element) -> Rectangle:
    x, y, width, height = (float(rectangle.attrib[side]) for side in ("x", "y", "width", "height"))
    return x, y, width, height


def test_rules_between_two_states_share_an_arrow() -> None:
    arrows = edges(ORDER, "zh")
    assert len(arrows) == len({(source, cell.target) for (_, _, source), cell in TABLE.items()})
    found = {(edge.source.key, edge.target.key): [line.text("zh") for line in edge.lines] for edge in arrows}
    assert found["1,6", "1,6,closed"] == ["取消订单 · 买家、卖家", "超时未付款 · 系统 30 分钟"]
    assert found["2,6", "3,8"] == ["确认收货 [当面交易] · 买家、卖家"]
    assert found["4,8", "3,8"] == [
        "撤回退款申请 · 买家",
        "拒绝退款 · 卖家",
        "超时未寄回 · 系统 7 天",
        "裁决归卖家 · 平台客服",
    ]
    # Steps that change no state: each of the table's, in its order.
    loops: dict[str, list[str]] = {}
    for (event, source), roles in LOOPS.items():
        doers = "、".join(ORDER.roles[role].zh for role in roles)
        loops.setdefault(ORDER.state(source).key, []).append(f"{ORDER.events[OrderEvent(event)].zh} · {doers}")
    assert {key[0]: lines for key, lines in found.items() if key[0] == key[1]} == loops
    assert loops["2,7"] == ["延长收货时间 · 买家"]
    assert loops["4,6"] == loops["4,7"] == loops["4,8"] == ["申请平台介入 · 买家、卖家"]
    assert loops["4,9"] == ["申请平台介入 · 买家", "对退货有异议 · 卖家"]
    assert creation(ORDER, "en").text("en") == "buy · buyer"


def test_labels_have_the_two_lines_of_the_api_spec_and_a_meaning_where_it_says_more() -> None:
    assert label(ORDER.state(PAID), "zh") == ("2 买家已付款", "6 卖家未发货")
    assert label(ORDER.state(SETTLED), "zh") == ("3 卖家已收款", "8 买家已收货", "(交易完成)")
    assert label(GOOD.by_key["2,deleted"], "zh") == ("2 已发布", "已删除")


@every_picture
def test_mermaid_names_every_state_and_arrow(spec: Spec[Any, Any, Any], lang: Lang) -> None:
    text = mermaid.render(spec, lang)
    assert "\nstateDiagram-v2\n    direction TB\n" in text
    names = set(re.findall(r'^    state ".+" as (\w+)$', text, re.MULTILINE))
    assert len(names) == len(spec.states)
    arrows = re.findall(r"^    (\w+|\[\*\]) --> (\w+|\[\*\])", text, re.MULTILINE)
    closed = sum(state.closed for state in spec.states)
    between = [edge for edge in edges(spec, lang) if edge.source is not edge.target]
    assert len(arrows) == len(set(arrows)) == 1 + len(between) + closed
    assert text.count("↻ ") == sum(len(edge.lines) for edge in edges(spec, lang) if edge.source is edge.target)
    assert {end for arrow in arrows for end in arrow} == names | {"[*]"}


def test_mermaid_breaks_wide_lines_itself() -> None:
    text = mermaid.render(ORDER, "zh")
    assert "s_1_6 --> s_2_6 : 付款 · 支付网关\n" in text
    assert "s_2_7 --> s_3_8 : 确认收货<br/>· 买家、系统 10 天\n" in text


def test_mermaid_writes_what_changes_no_state_into_the_box() -> None:
    text = mermaid.render(ORDER, "zh")
    assert '    state "2 买家已付款<br/>7 卖家已发货<br/>↻ 延长收货时间 · 买家" as s_2_7\n' in text
    assert '(退货途中)<br/>↻ 申请平台介入 · 买家<br/>↻ 对退货有异议 · 卖家" as s_4_9\n' in text


@every_picture
def test_dot_names_every_state_and_arrow(spec: Spec[Any, Any, Any], lang: Lang) -> None:
    text = dot.render(spec, lang)
    assert text.startswith(f"digraph {spec.name} {{\n    rankdir=TB;\n")
    assert text.count(" -> ") == 1 + len(edges(spec, lang))
    assert text.count("peripheries=2") == sum(state.closed for state in spec.states)
    for state in spec.states:
        lines = "\\n".join(label(state, lang))
        assert f'    "{state.key}" [label="{lines}"' in text


def test_json_says_what_the_spec_says() -> None:
    document = stdlib_json.loads(json.render(ORDER, "en"))
    assert (document["name"], document["start"]) == ("order", "1,6")
    assert document["creation"] == {"name": "buy", "by": "buyer", "text": "buy", "good_event": "hold"}
    assert [state["key"] for state in document["states"]] == [state.key for state in ORDER.states]
    assert [state["phase"] for state in document["states"]] == [list(state.phase) for state in ORDER.states]
    assert len(document["rules"]) == len(ORDER.rules)
    assert document["rules"][0] == {
        "event": "pay",
        "by": ["gateway"],
        "source": "1,6",
        "target": "2,6",
        "moves": [{"from": "gateway", "to": "escrow"}],
        "guards": [],
        "deadline": None,
        "good_event": None,
        "clock": "start",
    }
    lapse = next(rule for rule in document["rules"] if rule["event"] == "lapse")
    assert lapse["clock"] == "resume"
    assert lapse["deadline"] == {
        "setting": "lapse_after",
        "seconds": 604800,
        "text": "sending back due",
        "reminder": {"role": "buyer", "setting": "lapse_reminder", "seconds": 86400},
    }
    assert lapse["guards"] == [
        {
            "code": "disputed",
            "condition": "not disputed",
            "refusal": "the order is disputed and waits for staff",
            "on_input": False,
        }
    ]
    loops = [rule for rule in document["rules"] if rule["source"] == rule["target"]]
    assert [(rule["event"], rule["source"], rule["clock"]) for rule in loops] == [
        (event, ORDER.state(source).key, EFFECTS.get((event, source), "start")) for event, source in LOOPS
    ]
    assert [(rule["event"], rule["source"], rule["clock"]) for rule in loops[-2:]] == [
        ("dispute", "4,9", "start"),
        ("contest_return", "4,9", "start"),
    ]
    assert {state["timeless"] for state in document["states"]} == {False}
    assert stdlib_json.loads(json.render(GOOD, "zh"))["events"]["edit"] == "编辑"


def test_sql_lists_exactly_the_legal_phases() -> None:
    assert sql_check.sql_check(ORDER, ("bill_status", "order_status", "closed")) == (
        "(bill_status, order_status, closed) IN ((1,6,false),(1,6,true),(2,6,false),(2,7,false),(3,8,false),(3,8,true),"
        "(4,6,false),(4,7,false),(4,8,false),(4,9,false),(5,6,true),(5,7,true),(5,8,true),(5,10,true),(3,9,true))"
    )
    assert sql_check.sql_check(GOOD, ("good_status", "deleted_at IS NOT NULL", "taken_down")) == (
        "(good_status, deleted_at IS NOT NULL, taken_down) IN ((1,false,false),(2,false,false),(3,false,false),"
        "(4,false,false),(5,false,false),(1,true,false),(2,true,false),(4,true,false),(5,true,false),"
        "(1,false,true),(2,false,true),(3,false,true),(4,false,true),(5,false,true))"
    )
    with pytest.raises(ValueError, match=r"^a phase of order has 3 parts, not 2$"):
        sql_check.sql_check(ORDER, ("bill_status", "order_status"))


@every_picture
def test_the_table_has_a_row_for_each_rule(spec: Spec[Any, Any, Any], lang: Lang) -> None:
    rows = table.render(spec, lang).splitlines()
    assert len(rows) == 3 + len(spec.rules)
    assert {row.count(" | ") for row in rows} == {10}


def test_rows_of_the_table() -> None:
    zh = table.render(ORDER, "zh").splitlines()
    assert zh[0] == "| 事件 | 代码 | 由谁 | 从 | 到 | 期限 | 提醒 | 时钟 | 条件 | 资金 | 商品 |"
    assert zh[2] == "| 下单 | `buy` | 买家 |  | (1,6) |  |  |  |  |  | 被拍下 |"
    assert "| 取消订单 | `cancel` | 买家、卖家 | (1,6) | (1,6,closed) |  |  |  |  |  | 重新上架 |" in zh
    assert "| 延长收货时间 | `extend_receipt` | 买家 | (2,7) | (2,7) |  |  | 延长 | 仅一次 |  |  |" in zh
    assert (
        "| lapse | `lapse` | system | (4,8) | (3,8) | 7 d | the buyer is told 24 h before | goes on | not disputed "
        "| escrow → seller held |  |" in table.render(ORDER, "en").splitlines()
    )


@every_picture
def test_the_svg_shows_every_text_and_nothing_covers_anything(spec: Spec[Any, Any, Any], lang: Lang) -> None:
    root = ET.fromstring(svg.render(spec, lang))  # noqa: S314 - our own text
    space = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in root.iter(f"{space}text")]
    lines = [line.text(lang) for edge in edges(spec, lang) for line in edge.lines] + [creation(spec, lang).text(lang)]
    assert sorted(texts) == sorted([*lines, *(line for state in spec.states for line in label(state, lang))])

    background, *rectangles = root.iter(f"{space}rect")
    assert background.get("width") == "100%"
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    drawn = [
        area(rect)
        for rect in rectangles
        if rect.get("fill") != "none"  # the second border of a closed state
    ]
    assert len(drawn) == len(spec.states) + len(edges(spec, lang)) + 1
    for x, y, w, h in drawn:
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
    assert [pair for pair in combinations(drawn, 2) if overlap(*pair)] == []


@every_picture
def test_arrows_of_the_svg_end_in_heads_that_touch_a_state(spec: Spec[Any, Any, Any], lang: Lang) -> None:
    root = ET.fromstring(svg.render(spec, lang))  # noqa: S314 - our own text
    heads = [path.attrib["d"] for path in root.iter("{http://www.w3.org/2000/svg}path") if path.get("fill") != "none"]
    closed = sum(state.closed for state in spec.states)
    assert len(heads) == 1 + len(edges(spec, lang)) + closed
    assert all(re.fullmatch(r"M[\d.]+ [\d.]+L[\d.]+ [\d.]+L[\d.]+ [\d.]+Z", head) for head in heads)
    tips = [tuple(map(float, re.findall(r"[\d.]+", head)[:2])) for head in heads]
    boxes = [
        area(rect)
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("rx") == "8" and rect.get("fill") != "none"
    ]
    on_edge = [
        any(x <= tip_x <= x + w and min(abs(tip_y - y), abs(tip_y - y - h)) < 0.2 for x, y, w, h in boxes)
        or any(abs(tip_x - x - w) < 0.2 and y <= tip_y <= y + h for x, y, w, h in boxes)
        for tip_x, tip_y in tips
    ]
    # Every arrow ends at a state but those from the closed ones, which end at their marker.
    assert on_edge.count(False) == closed


def test_pictures_do_not_depend_on_hash_seeds() -> None:
    code = (
        "from statemachine.__main__ import FORMATS, MACHINES; import hashlib, sys;"
        "texts = [f(m.spec, l) for m in MACHINES.values() for f in FORMATS.values() for l in ('zh', 'en')];"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert len(digests) == 1


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, Box], list[Arrow]]:
    """Boxes that are all connected with the first one, and arrows in any direction between them."""
    sizes = draw(st.lists(st.tuples(st.integers(10, 200), st.integers(10, 80)), min_size=2, max_size=7))
    boxes = {f"b{i}": Box(width, height, width) for i, (width, height) in enumerate(sizes)}
    arrows = [(draw(st.integers(0, i - 1)), i) for i in range(1, len(boxes))]
    for _ in range(draw(st.integers(0, 5))):
        one, two = draw(st.permutations(range(len(boxes))))[:2]
        arrows.append((one, two))
    labels = st.builds(Box, st.integers(1, 160), st.integers(1, 60))
    return boxes, [Arrow(f"b{one}", f"b{two}", draw(labels)) for one, two in arrows]


@settings(deadline=None, max_examples=30)
@given(graphs())
def test_no_layout_puts_one_thing_over_another(graph: tuple[dict[str, Box], list[Arrow]]) -> None:
    boxes, arrows = graph
    plan = place(boxes, arrows)
    assert plan == place(boxes, arrows)
    areas = [
        (x - box.width / 2, y - box.height / 2, box.width, box.height)
        for box, (x, y) in [
            *((boxes[name], centre) for name, centre in plan.centres.items()),
            *((arrow.label, route.label) for arrow, route in zip(arrows, plan.routes, strict=True)),
        ]
    ]
    for x, y, width, height in areas:
        assert x >= 0
        assert y >= 0
        assert x + width <= plan.width
        assert y + height <= plan.height
    assert [pair for pair in combinations(areas, 2) if overlap(*pair)] == []
    for arrow, route in zip(arrows, plan.routes, strict=True):
        for name, (x, y) in ((arrow.source, route.points[0]), (arrow.target, route.points[-1])):
            box, centre = boxes[name], plan.centres[name]
            assert abs(x - centre[0]) <= box.width / 2
            assert abs(abs(y - centre[1]) - box.height / 2) < 1e-6
